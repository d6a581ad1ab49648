"""Whether a longer log makes calls dearer, commits slower, or the start later."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from bench import history, served
from bench.cases import LOG_ROWS, TUCKSHOP
from bench.figures import Figure
from bench.load import WRK_WARM_S, press
from bench.measures.crowd import LEDGER
from bench.measures.run import Run, Stage, stage
from bench.open_loop import percentile
from bench.subjects import Subject, serve_again

LONGER = 2  # one sample each, so a longer one


def growth(run: Run) -> Iterator[Figure]:
    """CPU per call, the 99th percentile of a commit and the start, by rows in the log."""
    with stage() as on:
        keys = class_that_called(run, on)
        for rows in LOG_ROWS:
            subject, file = serve_with_past(on, keys, run.sized(rows))
            yield Figure(f"growth-start-{rows}", TUCKSHOP, subject.cold_start_s)
            since_s = monotonic() + WRK_WARM_S
            pressed = press(subject, on.folder, connections=32, seconds=LONGER * run.seconds)
            subject.stop()
            commits = served.commits_ms(file, since_s=since_s)
            yield Figure(f"growth-cpu-{rows}", TUCKSHOP, pressed.cpu_us)
            yield Figure(f"growth-commit-{rows}", TUCKSHOP, percentile(commits, 0.99))


def class_that_called(run: Run, on: Stage, *, keys: int = 0) -> list[str]:
    """The keys of a class in the folder `class`, its server stopped again, its log not empty."""
    subject = on.tuckshop("class", keys=keys or run.keys)
    press(subject, on.folder, connections=1, seconds=1)
    subject.stop()
    return subject.keys


def serve_with_past(on: Stage, keys: list[str], rows: int) -> tuple[Subject, Path]:
    """That class with a log of *rows* calls, and the file of its commits."""
    folder = on.folder / f"past-{rows}"
    shutil.copytree(on.folder / "class", folder, ignore=shutil.ignore_patterns("*.sock"))
    history.fill(folder / LEDGER, rows)
    file = folder / "commits"
    subject = on.keep(
        serve_again(on.upstream, folder, command=served.command(file), **served.ENVIRONMENT)
    )
    subject.keys += keys
    return subject, file
