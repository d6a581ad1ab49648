"""What calls feel of the work of staff: commits while the log is read and members are added."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Final

from bench import served
from bench.cases import TUCKSHOP
from bench.figures import Figure
from bench.load import Pace, pace
from bench.measures.growth import class_that_called, serve_with_past
from bench.measures.run import Run, stage
from bench.open_loop import WARM_S, percentile
from bench.subjects import Subject, add_members, admin

RATE: Final = 200  # calls per second meanwhile
ROWS: Final = 100_000
PAGE: Final = 1_000
MEMBERS: Final = 5_000
LONGEST_S: Final = 300.0


def staff(run: Run) -> Iterator[Figure]:
    """The same load twice: alone, and while 100,000 rows are read and 5,000 members added at once."""
    with stage() as on:
        rows = run.sized(ROWS)
        subject, file = serve_with_past(on, class_that_called(run, on), rows)
        since_s = monotonic() + WARM_S
        quiet = pace(subject, on.folder, rate=RATE, seconds=2 * run.seconds)
        yield Figure("staff-quiet", TUCKSHOP, _commit_ms(file, since_s, 0.99))
        yield Figure("staff-call-quiet", TUCKSHOP, quiet.p99_ms)

        load = Pace(subject, on.folder, rate=RATE, seconds=LONGEST_S)
        load.wait_until_warm()
        with ThreadPoolExecutor() as threads:
            since_s = monotonic()
            reading = threads.submit(_read, subject, rows)
            adding = threads.submit(_add, subject, run.sized(MEMBERS))
            read_rate, add_rate = reading.result(), adding.result()
        busy = load.result(stop=True)
        yield Figure("staff-busy", TUCKSHOP, _commit_ms(file, since_s, 0.99))
        yield Figure("staff-busy-p50", TUCKSHOP, _commit_ms(file, since_s, 0.5))
        yield Figure("staff-call-busy", TUCKSHOP, busy.p99_ms)
        yield Figure("staff-read", TUCKSHOP, read_rate)
        yield Figure("staff-added", TUCKSHOP, add_rate)


def _commit_ms(file: Path, since_s: float, share: float) -> float:
    return percentile(served.commits_ms(file, since_s=since_s), share)


def _read(subject: Subject, rows: int) -> float:
    """Page through the log as a program would, one page after the other. Rows per second."""
    began_s = monotonic()
    read, cursor = 0, ""
    while read < rows:
        page = admin(subject, f"/requests?limit={min(PAGE, rows)}{cursor}")
        read += len(page["data"])
        cursor = f"&cursor={page['next_cursor']}"
    return read / (monotonic() - began_s)


def _add(subject: Subject, members: int) -> float:
    """Members per second."""
    began_s = monotonic()
    add_members(subject, members, prefix="new")
    return members / (monotonic() - began_s)
