"""
A log with a past: so many rows of calls that never happened, by the real schema.

A call that did happen is the pattern: the rows are it, at other times and of other members. They lie in sessions of ten
calls of one member within a quarter of an hour, spread over the year before. What the ledger had counted is dropped;
it sums the rows when it next needs a counter.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from tuckshop.domain.ids import new_id

SESSION: Final = 10  # calls
YEAR_US: Final = 365 * 86_400 * 1_000_000
PAUSE_US: Final = 60 * 1_000_000  # between two calls of a session
BUCKET_US: Final = 15 * 60 * 1_000_000


def fill(ledger: Path, rows: int) -> None:
    """
    Give the *ledger* of a stopped server that has served a call a log of *rows* calls instead.

    Raises:
        ValueError: It has served none.
    """
    with closing(sqlite3.connect(ledger)) as connection:
        connection.row_factory = sqlite3.Row
        pattern = connection.execute(
            "SELECT * FROM requests WHERE state = 'settled' ORDER BY position DESC LIMIT 1"
        ).fetchone()
        bucket = connection.execute("SELECT * FROM usage_buckets LIMIT 1").fetchone()
        if pattern is None or bucket is None:
            raise ValueError("a call must have been served, to have a pattern")
        people = connection.execute("SELECT id AS key_id, member_id, group_id FROM keys").fetchall()
        for table in ("requests", "usage_buckets", "counters"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
        calls = _calls(dict(pattern), [dict(row) for row in people], rows)
        connection.executemany(_insert("requests", pattern.keys()), calls)
        connection.executemany(
            _insert("usage_buckets", bucket.keys()), _buckets(connection, bucket.keys())
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _insert(table: str, columns: Any) -> str:
    names = list(columns)
    values = ", ".join(f":{name}" for name in names)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"  # noqa: S608


def _calls(
    pattern: dict[str, Any], people: list[dict[str, Any]], rows: int
) -> Iterator[dict[str, Any]]:
    chance = random.Random(7)  # the same log each time
    step_us = YEAR_US // rows
    first_us = pattern["admitted_at"] - YEAR_US
    person: dict[str, Any] = {}
    for n in range(rows):
        in_session = n % SESSION
        at_us = first_us + (n - in_session) * step_us + in_session * min(step_us, PAUSE_US)
        if not in_session:
            person = chance.choice(people)
        yield (
            pattern
            | person
            | {
                "id": new_id("req", at_us),
                "position": 2 * n + 1,
                "resolved_position": 2 * n + 2,
                "admitted_at": at_us,
                "resolved_at": at_us + 800_000,
                "upstream_request_id": f"req_{chance.getrandbits(128):032x}",
                "input_tokens": chance.randrange(10, 4_000),
                "output_tokens": chance.randrange(10, 800),
            }
        )


def _buckets(connection: sqlite3.Connection, columns: Any) -> Iterator[dict[str, Any]]:
    """The roll-up of the rows, as the ledger keeps it."""
    grouped = connection.execute(
        "SELECT workspace_id, admitted_at / ? * ? AS bucket, group_id, member_id, key_id, model, endpoint,"
        " sum(repeats) AS requests, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,"
        " sum(cached_tokens) AS cached_tokens, sum(cost) AS cost FROM requests GROUP BY 1, 2, 3, 4, 5, 6, 7",
        (BUCKET_US, BUCKET_US),
    ).fetchall()
    for row in grouped:
        yield {name: row[name] for name in columns}
