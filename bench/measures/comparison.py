"""CPU per request and per event, beside nginx."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from bench.cases import CONNECTIONS, NGINX, PROCESS, STREAMS, TUCKSHOP
from bench.figures import Figure
from bench.load import Pressed, press, stream
from bench.measures.run import Run, Stage, medians, stage
from bench.subjects import Subject

TOKENS = 120  # events of a stream
SPEED = 20  # events per second


def requests(run: Run) -> Iterator[Figure]:
    """CPU per plain chat request, and how many one core serves."""
    with stage() as on:
        subjects = {
            NGINX: on.nginx(),
            TUCKSHOP: on.tuckshop("full", keys=run.keys),
            PROCESS: on.tuckshop("process", keys=run.keys, TUCKSHOP_DURABILITY="process"),
        }
        for connections in CONNECTIONS:
            for name, rounds in pressed(run, on, subjects, connections).items():
                cpu_us = statistics.median(p.cpu_us for p in rounds)
                yield Figure(f"chat-{connections}", name, cpu_us)
                if connections == CONNECTIONS[-1]:
                    rate = statistics.median(p.rate for p in rounds)
                    yield Figure(f"rate-{connections}", name, rate)


def pressed(
    run: Run,
    on: Stage,
    subjects: Mapping[str, Subject],
    connections: int,
    *,
    varied: bool = False,
) -> dict[str, list[Pressed]]:
    """Each subject under the load, in turn, so that a busy minute hits all of them."""
    found: dict[str, list[Pressed]] = {name: [] for name in subjects}
    for _ in range(run.rounds):
        for name, subject in subjects.items():
            found[name].append(
                press(
                    subject,
                    on.folder,
                    connections=connections,
                    seconds=run.seconds,
                    varied=varied,
                )
            )
    return found


def events(run: Run) -> Iterator[Figure]:
    """CPU per event of streamed replies, the calls themselves included."""
    with stage() as on:
        subjects = [on.nginx(), on.tuckshop("full", keys=run.keys)]
        for streams in STREAMS:
            yield from event(f"event-{streams}", run, on, subjects, run.sized(streams))


def event(
    case: str, run: Run, on: Stage, subjects: Sequence[Subject], streams: int
) -> Iterator[Figure]:
    """One number of streams."""
    found = medians(
        subjects,
        run.rounds,
        lambda s: stream(s, on.folder, streams=streams, tokens=TOKENS, speed=SPEED).cpu_us,
    )
    for subject, value in zip(subjects, found, strict=True):
        yield Figure(case, subject.name, value)
