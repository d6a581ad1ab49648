"""The ledger's rows read straight from its file, by the tests' own rules: what stood at every position (M1)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from tuckshop.storage.database import DATABASE_NAME


@dataclass(frozen=True, slots=True)
class Row:
    """A request as it lies in the file."""

    id: str
    position: int
    resolved_position: int | None
    admitted_at: int
    resolved_at: int | None
    state: str
    held_cost: int
    held_input_tokens: int
    cost: int | None
    flags: str
    tag: str | None


def ledger_file(data: Path) -> Path:
    """The ledger in the data folder *data*, which has other files beside it."""
    return data / DATABASE_NAME


def rows_of(data: Path) -> dict[str, Row]:
    """Every request, by its id, in the order of their positions."""
    names = ", ".join(field.name for field in fields(Row))
    uri = f"file:{ledger_file(data)}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        found = connection.execute(f"SELECT {names} FROM requests ORDER BY position")  # noqa: S608
        return {row[0]: Row(*row) for row in found}


def most_held_at_once(rows: Iterable[Row]) -> int:
    """The greatest used + reserved, in nano-USD, that *rows* made together at any position."""
    changes: list[tuple[int, int]] = []
    for row in rows:
        if row.state == "refused":
            continue
        changes.append((row.position, row.held_cost))
        if row.resolved_position is not None:
            charged = row.cost if row.state == "settled" else 0
            assert charged is not None
            changes.append((row.resolved_position, charged - row.held_cost))
    return _peak(changes)


def most_open_at_once(rows: Iterable[Row]) -> int:
    """How many of *rows* were reserved at any one position, at most."""
    held = [row for row in rows if row.state != "refused"]
    changes = [(row.position, 1) for row in held]
    changes += [(row.resolved_position, -1) for row in held if row.resolved_position is not None]
    return _peak(changes)


def _peak(changes: list[tuple[int, int]]) -> int:
    assert len({position for position, _ in changes}) == len(changes), "two changes at one position"
    total = most = 0
    for _, change in sorted(changes):
        total += change
        most = max(most, total)
        assert total >= 0
    return most
