"""
Counters that nobody used before, summed from the rows, folded ones too (section 6: every row exactly once).

Where the scope's log is short, the writer sums it in its own transaction. Where it is long, that is done off the
writer on a snapshot, up to a position; what happened since is caught up in one batch: the rows that were open in the
snapshot are looked at again, and the rows behind its position are added.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tuckshop.domain.limits import LimitKind
from tuckshop.domain.windows import subwindow_start
from tuckshop.ledger.arithmetic import SLOT_OF, Vector
from tuckshop.ledger.carry_rows import CarryRow, carry_rows, count_carry_rows
from tuckshop.ledger.contributions import (
    ROW_COLUMNS,
    Row,
    correction_vector,
    counts_after,
    vectors_of,
)
from tuckshop.ledger.tallies import ScopeKey, aliases_of, rolling_of, selector_of
from tuckshop.storage.database import Database

DIRECT_ROWS_MAX: Final = 2_000  # a longer log is summed off the writer
_COUNTING: Final = "state IN ('reserved', 'settled')"


class Reset(NamedTuple):
    """A reset of a scope, as its row says."""

    position: int
    at_us: int
    with_total: bool


@dataclass(frozen=True, slots=True)
class Want:
    """A kind to be summed, in one window; of a rolling kind in all sub-windows that are live."""

    kind: LimitKind
    start_us: int = field(compare=False)  # of the counter; of a rolling kind nothing is said
    end_us: int = field(compare=False)
    since_us: int = field(compare=False)  # no row admitted before it counts


@dataclass(frozen=True, slots=True)
class Unsummed:
    """Kinds at one scope that are not counted yet, and whose log is too long for the writer."""

    scope_key: ScopeKey
    member_id: str | None  # a key's
    wants: tuple[Want, ...]


@dataclass(frozen=True, slots=True)
class Summed:
    """What the snapshot says of closed rows, which rows were open in it, and where it ends."""

    unsummed: Unsummed
    position: int
    used: tuple[dict[int, int], ...]  # per want: window or sub-window start → used
    open_ids: tuple[str, ...]


class Summer:
    """Adds rows up, for several kinds of one scope at once."""

    def __init__(self, wants: Sequence[Want], resets: Sequence[Reset]) -> None:
        self.wants = wants
        self.used: list[dict[int, int]] = [{} for _ in wants]
        self.held: list[dict[int, int]] = [{} for _ in wants]
        self._plans = [
            (
                want,
                SLOT_OF[want.kind.metric],
                selector_of(want.kind.selector),
                rolling_of(want.kind.window),
                last_reset(want.kind.window, want.end_us, resets),
            )
            for want in wants
        ]

    def add(self, row: Row) -> None:
        """Count *row* as it stands."""
        used, held = vectors_of(row)
        self._add(row, used, held)

    def add_correction(self, row: Row, added: Vector) -> None:
        """Count a correction of *row*."""
        self._add(row, added, None)

    def add_folded(self, carried: CarryRow) -> None:
        """Count what was folded, as the one request that it is counted as."""
        self._add(carried.as_row, carried.used, None)

    def _add(self, row: Row, used: Vector, held: Vector | None) -> None:
        at_us = row.admitted_at
        for index, (want, slot, selector, rolling, reset_position) in enumerate(self._plans):
            if not want.since_us <= at_us < want.end_us or not counts_after(row, reset_position):
                continue
            if not selector.covers(row.model, aliases_of(row.model_aliases), row.endpoint_group):
                continue
            start_us = subwindow_start(rolling, at_us) if rolling else want.start_us
            sums = self.used[index]
            sums[start_us] = sums.get(start_us, 0) + used[slot]
            if held is not None:
                sums = self.held[index]
                sums[start_us] = sums.get(start_us, 0) + held[slot]


def last_reset(window: str, end_us: int, resets: Iterable[Reset]) -> int:
    """The position of the last reset that a counter of *window*, which ends at *end_us*, felt; 0: none."""
    return max(
        (
            reset.position
            for reset in resets
            if reset.at_us < end_us and (reset.with_total or window != "total")
        ),
        default=0,
    )


# ── from the database ────────────────────────────────────────────────────────────────────────────────────────────


def sum_directly(
    cursor: sqlite3.Cursor, scope_key: ScopeKey, member_id: str | None, wants: Sequence[Want]
) -> Summer | None:
    """The sums as this transaction sees them; None: the log is too long to be read here."""
    since_us = min(want.since_us for want in wants)
    where, parameters = _where(scope_key, member_id, since_us)
    counted = cursor.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM requests WHERE {where} LIMIT {DIRECT_ROWS_MAX + 1})",  # noqa: S608 - built from constants
        parameters,
    ).fetchone()[0]
    counted += count_carry_rows(cursor, *scope_key, since_us, DIRECT_ROWS_MAX)
    if counted > DIRECT_ROWS_MAX:
        return None
    summer = Summer(wants, resets_of(cursor, scope_key))
    _add_folded(cursor, summer, scope_key)
    if counted:
        for row in cursor.execute(_rows(where), parameters).fetchall():
            summer.add(Row._make(row))
        _add_corrections(cursor, summer, where, parameters)
    return summer


def sum_window(cursor: sqlite3.Cursor, scope_key: ScopeKey, want: Want) -> tuple[int, int]:
    """(used, held) of one calendar window, as this transaction sees it; however long its log is."""
    where, parameters = _where(scope_key, None, want.since_us)
    where, parameters = f"{where} AND admitted_at < ?", (*parameters, want.end_us)
    summer = Summer((want,), resets_of(cursor, scope_key))
    _add_folded(cursor, summer, scope_key)
    for row in cursor.execute(_rows(where), parameters).fetchall():
        summer.add(Row._make(row))
    _add_corrections(cursor, summer, where, parameters)
    return sum(summer.used[0].values()), sum(summer.held[0].values())


def sum_in_snapshot(database: Database, unsummed: Unsummed) -> Summed:
    """The sums as one snapshot sees them. For a worker thread."""
    with database.reader() as connection:
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        cursor = driver.cursor()
        cursor.execute("BEGIN")
        try:
            return _sum_in_transaction(cursor, unsummed)
        finally:
            cursor.execute("ROLLBACK")


def _sum_in_transaction(cursor: sqlite3.Cursor, unsummed: Unsummed) -> Summed:
    workspace_id = unsummed.scope_key[0]
    wants = unsummed.wants
    position = max(
        cursor.execute(query, (workspace_id,)).fetchone()[0] or 0
        for query in (
            "SELECT max(position) FROM requests WHERE workspace_id = ?",
            "SELECT max(position) FROM entries WHERE workspace_id = ?",
        )
    )
    where, parameters = _where(
        unsummed.scope_key, unsummed.member_id, min(want.since_us for want in wants)
    )
    summer = Summer(wants, resets_of(cursor, unsummed.scope_key))
    _add_folded(cursor, summer, unsummed.scope_key)
    open_ids: list[str] = []
    for values in cursor.execute(_rows(where), parameters):
        row = Row._make(values)
        if row.state == "reserved":
            open_ids.append(row.id)
        else:
            summer.add(row)
    _add_corrections(cursor, summer, where, parameters)
    return Summed(unsummed, position, tuple(summer.used), tuple(open_ids))


def catch_up(cursor: sqlite3.Cursor, summed: Summed) -> Summer | None:
    """
    *summed* brought up to this transaction.

    None: a reset or a correction came in between, or too much else, so it has to be summed again.
    """
    scope_key, wants = summed.unsummed.scope_key, summed.unsummed.wants
    workspace_id = scope_key[0]
    entries = cursor.execute(
        "SELECT count(*) FROM entries WHERE workspace_id = ? AND position > ?"
        " AND kind IN ('correction', 'reset')",
        (workspace_id, summed.position),
    ).fetchone()[0]
    if entries:
        return None
    summer = Summer(wants, resets_of(cursor, scope_key))
    for sums, used in zip(summer.used, summed.used, strict=True):
        sums.update(used)
    for request_id in summed.open_ids:
        values = cursor.execute(
            f"SELECT {ROW_COLUMNS} FROM requests WHERE workspace_id = ? AND id = ?",  # noqa: S608 - built from constants
            (workspace_id, request_id),
        ).fetchone()
        summer.add(Row._make(values))
    later = cursor.execute(
        f"SELECT {ROW_COLUMNS} FROM requests WHERE workspace_id = ? AND position > ? AND {_COUNTING} LIMIT ?",  # noqa: S608 - built from constants
        (workspace_id, summed.position, 10 * DIRECT_ROWS_MAX + 1),
    ).fetchall()
    if len(later) > 10 * DIRECT_ROWS_MAX:
        return None
    for values in later:
        row = Row._make(values)
        if _is_in_scope(row, scope_key):
            summer.add(row)
    return summer


def resets_of(cursor: sqlite3.Cursor, scope_key: ScopeKey) -> list[Reset]:
    """Every reset of a scope."""
    rows = cursor.execute(
        "SELECT position, at, with_total FROM entries"
        " WHERE workspace_id = ? AND scope_kind = ? AND scope_id = ? AND kind = 'reset'",
        scope_key,
    ).fetchall()
    return [Reset(position, at_us, bool(with_total)) for position, at_us, with_total in rows]


def member_of_key(cursor: sqlite3.Cursor, workspace_id: str, key_id: str) -> str | None:
    """Whose key it is."""
    row = cursor.execute(
        "SELECT member_id FROM keys WHERE workspace_id = ? AND id = ?", (workspace_id, key_id)
    ).fetchone()
    return None if row is None else str(row[0])


def _add_folded(cursor: sqlite3.Cursor, summer: Summer, scope_key: ScopeKey) -> None:
    since_us = min(want.since_us for want in summer.wants)
    for carried in carry_rows(cursor, *scope_key, since_us):
        summer.add_folded(carried)


def _add_corrections(
    cursor: sqlite3.Cursor, summer: Summer, where: str, parameters: tuple[object, ...]
) -> None:
    # There are few corrections, so they lead and their requests are looked up.
    columns = ", ".join(f"r.{name.strip()}" for name in ROW_COLUMNS.split(","))
    query = (
        f"SELECT e.cost, e.input_tokens, e.output_tokens, {columns} FROM entries e CROSS JOIN"  # noqa: S608 - constants
        f" (SELECT * FROM requests WHERE {where}) r ON r.id = e.request_id"
        " WHERE e.workspace_id = ? AND e.request_id IS NOT NULL AND e.kind = 'correction'"
    )
    rows = cursor.execute(query, (*parameters, parameters[0])).fetchall()
    for cost, input_tokens, output_tokens, *values in rows:
        summer.add_correction(
            Row._make(values), correction_vector(cost or 0, input_tokens or 0, output_tokens or 0)
        )


def _rows(where: str) -> str:
    return f"SELECT {ROW_COLUMNS} FROM requests WHERE {where}"  # noqa: S608 - built from constants


def _is_in_scope(row: Row, scope_key: ScopeKey) -> bool:
    _, kind, scope_id = scope_key
    ids = {"key": row.key_id, "member": row.member_id, "group": row.group_id}
    return ids.get(kind, scope_id) == scope_id


def _where(
    scope_key: ScopeKey, member_id: str | None, since_us: int
) -> tuple[str, tuple[object, ...]]:
    """Which rows are a scope's, worded so that an index finds them. The workspace is the first parameter."""
    workspace_id, kind, scope_id = scope_key
    time = f"admitted_at >= ? AND {_COUNTING}"
    if kind == "workspace":
        # Nothing is indexed by workspace and time alone, but every group is.
        groups = "group_id IN (SELECT id FROM groups WHERE workspace_id = ?)"
        return f"workspace_id = ? AND {groups} AND {time}", (workspace_id, workspace_id, since_us)
    if kind == "key" and member_id is not None:
        return (
            f"workspace_id = ? AND member_id = ? AND key_id = ? AND {time}",
            (workspace_id, member_id, scope_id, since_us),
        )
    column = {"key": "key_id", "member": "member_id", "group": "group_id"}[kind]
    return f"workspace_id = ? AND {column} = ? AND {time}", (workspace_id, scope_id, since_us)
