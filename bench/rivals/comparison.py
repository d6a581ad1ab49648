"""The rivals beside nginx and tuckshop: CPU, calls per second, added time, memory and start."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from bench.cases import DIRECT
from bench.figures import Figure
from bench.load import pace
from bench.measures.comparison import event, pressed
from bench.measures.run import Run, stage
from bench.rivals.environment import install
from bench.rivals.subjects import start_litellm, start_portkey
from bench.subjects import Subject

RATE: Final = 20  # calls per second that the slowest of them serves with ease
LONGER: Final = 3
EVENT_STREAMS: Final = 50


def rivals(run: Run) -> Iterator[Figure]:
    """All before one upstream, in turn."""
    install()
    with stage() as on:
        subjects = [
            on.nginx(),
            on.tuckshop("full", keys=run.keys),
            on.keep(start_portkey(on.upstream, on.folder / "portkey")),
            on.keep(start_litellm(on.upstream, on.folder / "litellm")),
        ]
        for subject in subjects:
            yield Figure("rival-start", subject.name, subject.cold_start_s)
            yield Figure("rival-rss", subject.name, subject.idle_rss_mb)
        found = pressed(run, on, {subject.name: subject for subject in subjects}, 32)
        for name, rounds in found.items():
            yield Figure("rival-cpu", name, statistics.median(p.cpu_us for p in rounds))
            yield Figure("rival-rate", name, statistics.median(p.rate for p in rounds))
        nginx = subjects[0]
        direct = Subject(DIRECT, on.upstream.url, nginx.keys, nginx.process)
        base = pace(direct, on.folder, rate=RATE, seconds=LONGER * run.seconds)
        for subject in subjects:
            paced = pace(subject, on.folder, rate=RATE, seconds=LONGER * run.seconds)
            yield Figure("rival-p50", subject.name, paced.p50_ms - base.p50_ms)
            yield Figure("rival-p99", subject.name, paced.p99_ms - base.p99_ms)
        yield from event("rival-event", run, on, subjects, EVENT_STREAMS)
