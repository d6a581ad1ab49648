"""
A log with a past: so many rows of calls that never happened, by the real schema.

A call that did happen is the pattern: the rows are it, at other times and of other members. They lie in sessions of ten
calls of one member within a quarter of an hour, spread over the year before. Most are settled; some were refused or
given back, a few are flagged, some sessions carry a tag. What the ledger had counted is dropped; it sums the rows when
it next needs a counter.

SQLite makes the rows itself, without the indexes that can be made afterwards: ten million take two to three minutes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from tuckshop.ledger.day_sums import DAY_US, MARK, TABLES, add_between

SESSION: Final = 10  # calls
YEAR_US: Final = 365 * 86_400 * 1_000_000
PAUSE_US: Final = 60 * 1_000_000  # between two calls of a session
BUCKET_US: Final = 15 * 60 * 1_000_000
RARE_TAG: Final = "rare"
RARE: Final = 3  # calls that have it

# What a row has of its own; `i` counts the rows, `s` their sessions, `x` and `y` are random numbers of each.
_OWN: Final = {
    "id": "'req_' || printf('%026d', i)",
    "position": "2 * i + 1",
    "resolved_position": "2 * i + 2",
    "admitted_at": "at",
    "resolved_at": "at + 800000",
    "state": "CASE WHEN x % 1000 < 20 THEN 'refused' WHEN x % 1000 < 30 THEN 'voided' ELSE 'settled' END",
    "group_id": "p.group_id",
    "member_id": "p.member_id",
    "key_id": "p.key_id",
    "endpoint": "CASE WHEN y % 10 = 0 THEN 'embeddings' ELSE :endpoint END",
    "endpoint_group": "CASE WHEN y % 10 = 0 THEN 'embeddings' ELSE :endpoint_group END",
    "model": "CASE WHEN y % 10 = 0 THEN 'text-embedding-3-small' ELSE :model END",
    "upstream_request_id": "'req_' || printf('%032x', x)",
    "cost": "CASE WHEN x % 1000 < 30 THEN 0 ELSE :cost END",
    "input_tokens": "CASE WHEN x % 1000 < 30 THEN 0 ELSE 10 + x % 3990 END",
    "output_tokens": "CASE WHEN x % 1000 < 30 THEN 0 ELSE 10 + x % 790 END",
    "cached_tokens": "CASE WHEN x % 1000 < 30 THEN 0 ELSE :cached_tokens END",
    "flags": "CASE WHEN x % 1000 >= 30 AND x % 5000 = 99 THEN 'unconfirmed' ELSE '' END",
    "error": "CASE WHEN x % 1000 < 20 THEN 'model_not_allowed' END",
    "tag": f"CASE WHEN i % (:rows / {RARE} + 1) = :rows / {2 * RARE} THEN '{RARE_TAG}'"
    " WHEN y % 100 = 1 THEN 'hw-' || y % 7 END",
}


def fill(ledger: Path, rows: int) -> None:
    """
    Give the *ledger* of a stopped server that has served a call a log of *rows* calls instead.

    Raises:
        ValueError: It has served none.
    """
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        pattern = _pattern(connection)
        for name in (
            "requests",
            "usage_buckets",
            *(table.name for table in TABLES),
            "counters",
            "closings",
        ):
            connection.execute(f"DELETE FROM {name}")  # noqa: S608 - names of ours
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # A power cut may cost the file: it is made anew for every measurement.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        with _without_indexes(connection, "requests"):
            _add_calls(connection, pattern, rows)
        _add_buckets(connection)
        connection.execute("PRAGMA journal_mode = WAL")


def _pattern(connection: sqlite3.Connection) -> dict[str, Any]:
    cursor = connection.execute(
        "SELECT * FROM requests WHERE state = 'settled' ORDER BY position DESC LIMIT 1"
    )
    found = cursor.fetchone()
    if found is None:
        raise ValueError("a call must have been served, to have a pattern")
    return dict(zip((column[0] for column in cursor.description), found, strict=True))


@contextmanager
def _without_indexes(connection: sqlite3.Connection, table: str) -> Iterator[None]:
    """In order they are made several times faster than row by row."""
    made: Sequence[tuple[str, str]] = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?",
        (table,),
    ).fetchall()
    for name, _ in made:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _, sql in made:
        connection.execute(sql)


def _add_calls(connection: sqlite3.Connection, pattern: dict[str, Any], rows: int) -> None:
    connection.execute(
        "CREATE TEMP TABLE people AS SELECT row_number() OVER (ORDER BY id) - 1 AS number, id AS key_id,"
        " member_id, group_id FROM keys"
    )
    connection.execute("CREATE UNIQUE INDEX temp.people_by_number ON people (number)")
    people = connection.execute("SELECT count(*) FROM people").fetchone()[0]
    step_us = YEAR_US // rows
    columns = ", ".join(pattern)
    values = ", ".join(_OWN.get(name, f":{name}") for name in pattern)
    connection.execute(
        # The multipliers mix: of numbers that follow each other they make some that do not.
        f"WITH RECURSIVE counted (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM counted WHERE i < :rows - 1),"  # noqa: S608
        f" mixed AS (SELECT i, i / {SESSION} AS s, i * 2654435761 % 4294967291 AS x,"
        f" (i / {SESSION} + 1) * 2246822519 % 4294967279 AS y,"
        f" :first + (i - i % {SESSION}) * :step + i % {SESSION} * min(:step, {PAUSE_US}) AS at FROM counted)"
        f" INSERT INTO requests ({columns}) SELECT {values} FROM mixed"
        " CROSS JOIN people p ON p.number = y / 100 % :people",
        pattern
        | {
            "rows": rows,
            "people": people,
            "step": step_us,
            "first": pattern["admitted_at"] - YEAR_US,
        },
    )


def _add_buckets(connection: sqlite3.Connection) -> None:
    """The roll-up of the rows, as the ledger keeps it."""
    keys = "group_id, member_id, key_id, model, endpoint"
    connection.execute(
        f"INSERT INTO usage_buckets (workspace_id, bucket, {keys}, requests, input_tokens, output_tokens,"  # noqa: S608
        f" cached_tokens, cost) SELECT workspace_id, admitted_at / {BUCKET_US} * {BUCKET_US}, {keys}, count(*),"
        " sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost) FROM requests"
        f" WHERE state = 'settled' GROUP BY 1, 2, {keys}"
    )
    for workspace_id, newest in connection.execute(
        "SELECT workspace_id, max(bucket) FROM usage_buckets GROUP BY 1"
    ).fetchall():
        # As the server does it at night; the mark stands at the start of the last day.
        mark_us = newest - newest % DAY_US
        add_between(connection.cursor(), workspace_id, 0, mark_us)
        connection.execute(
            "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)",
            (f"{MARK}{workspace_id}", str(mark_us)),
        )
