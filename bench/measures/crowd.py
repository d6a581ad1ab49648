"""A server with 10,000 keys: how soon it is ready, its memory, its calls, and what they leave on the disk."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from bench.cases import TUCKSHOP
from bench.figures import Figure
from bench.load import press, stream
from bench.measures.comparison import SPEED, TOKENS
from bench.measures.run import Run, Stage, stage
from bench.subjects import serve_again

KEYS: Final = 10_000
CROWD_STREAMS: Final = 1_000
LEDGER: Final = "data/tuckshop.db"


def crowd(run: Run) -> Iterator[Figure]:
    """Memory in the order in which a server comes by it; so one sample each, but for the start."""
    with stage() as on:
        yield from _starts(run, on)
        yield _streams(run, on)
        subject = on.tuckshop("crowd", keys=run.sized(KEYS))
        yield Figure("rss-members", TUCKSHOP, subject.rss_mb())
        ledger = on.folder / "crowd" / LEDGER
        member = _bytes(ledger, "members", "keys", "audit") / _count(ledger, "members")
        yield Figure("disk-member", TUCKSHOP, member)
        found = stream(
            subject,
            on.folder,
            streams=run.sized(CROWD_STREAMS),
            tokens=TOKENS,
            speed=SPEED,
        )
        yield Figure("rss-crowd", TUCKSHOP, found.rss_mb)
        cpu = statistics.median(
            press(subject, on.folder, connections=32, seconds=run.seconds).cpu_us
            for _ in range(run.rounds)
        )
        yield Figure("chat-32-crowd", TUCKSHOP, cpu)
        yield from _disk(ledger)


def _starts(run: Run, on: Stage) -> Iterator[Figure]:
    cold_s, idle_mb = [], []
    for number in range(run.rounds):
        folder = on.folder / f"start-{number}"
        folder.mkdir()
        subject = serve_again(on.upstream, folder)
        cold_s.append(subject.cold_start_s)
        idle_mb.append(subject.idle_rss_mb)
        subject.stop()
    yield Figure("cold-start", TUCKSHOP, statistics.median(cold_s))
    yield Figure("rss-idle", TUCKSHOP, statistics.median(idle_mb))


def _streams(run: Run, on: Stage) -> Figure:
    """What streams take, where no memory is left over from adding members."""
    subject = on.tuckshop("streams", keys=run.keys)
    before = subject.rss_mb()
    streams = run.sized(CROWD_STREAMS)
    found = stream(subject, on.folder, streams=streams, tokens=TOKENS, speed=SPEED)
    subject.stop()
    return Figure("rss-streams", TUCKSHOP, found.rss_mb - before)


def _disk(ledger: Path) -> Iterator[Figure]:
    """Of the calls that the cases before made."""
    yield Figure("disk-row", TUCKSHOP, _bytes(ledger, "requests") / _count(ledger, "requests"))
    yield Figure(
        "disk-bucket", TUCKSHOP, _bytes(ledger, "usage_buckets") / _count(ledger, "usage_buckets")
    )
    callers = _count(ledger, "(SELECT DISTINCT scope_id FROM counters WHERE scope_kind = 'member')")
    yield Figure("disk-counters", TUCKSHOP, _bytes(ledger, "counters") / callers)


def _bytes(ledger: Path, *tables: str) -> int:
    """What tables and their indexes take up of the file."""
    marks = ", ".join("?" * len(tables))
    names = f"SELECT name FROM sqlite_schema WHERE tbl_name IN ({marks})"  # noqa: S608 - marks only
    query = f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({names})"  # noqa: S608
    with closing(sqlite3.connect(ledger)) as connection:
        return int(connection.execute(query, tables).fetchone()[0])


def _count(ledger: Path, table: str) -> int:
    with closing(sqlite3.connect(ledger)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
