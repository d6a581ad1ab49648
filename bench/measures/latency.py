"""What a proxy adds to the time of a call, at rates that do not depend on how quickly it answers."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final

from bench.cases import DIRECT, NGINX, PROCESS, RATES, TUCKSHOP
from bench.figures import Figure
from bench.load import Paced, pace
from bench.measures.run import Run, stage
from bench.subjects import Subject

SYNCS: Final = 200
LONGER: Final = 2  # a 99th percentile wants many calls


def latency(run: Run) -> Iterator[Figure]:
    """Percentiles of whole calls; added: the difference of the same percentile without a proxy."""
    with stage() as on:
        yield Figure("sync-p50", DIRECT, _sync_ms(on.folder / "sync"))
        nginx = on.nginx()
        subjects = {
            DIRECT: Subject(DIRECT, on.upstream.url, nginx.keys, nginx.process),
            NGINX: nginx,
            TUCKSHOP: on.tuckshop("full", keys=run.keys),
            PROCESS: on.tuckshop("process", keys=run.keys, TUCKSHOP_DURABILITY="process"),
        }
        for rate in RATES:
            found = {
                name: pace(subject, on.folder, rate=rate, seconds=LONGER * run.seconds)
                for name, subject in subjects.items()
            }
            yield from _figures(rate, found)


def _sync_ms(file: Path) -> float:
    """What the disk alone takes: no durable call can be quicker."""
    took_ms = []
    with open(file, "wb", buffering=0) as written:
        for _ in range(SYNCS):
            began_s = perf_counter()
            written.write(bytes(16_384))
            os.fdatasync(written.fileno())
            took_ms.append((perf_counter() - began_s) * 1e3)
    return statistics.median(took_ms)


def _figures(rate: int, found: dict[str, Paced]) -> Iterator[Figure]:
    direct = found[DIRECT]
    for name, paced in found.items():
        yield Figure(f"whole-p50-{rate}", name, paced.p50_ms)
        yield Figure(f"whole-p99-{rate}", name, paced.p99_ms)
        if name != DIRECT:
            yield Figure(f"added-p50-{rate}", name, paced.p50_ms - direct.p50_ms)
            yield Figure(f"added-p99-{rate}", name, paced.p99_ms - direct.p99_ms)
