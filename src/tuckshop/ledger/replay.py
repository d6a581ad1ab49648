"""
The ledger told again from its rows, in the order of positions: what the counters were at every moment, and at most.
What was folded (P9) has no order any more, and is left out.

Shares nothing with the books that keep them but what a row counts (`contributions`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from tuckshop.domain.limits import Rolling
from tuckshop.domain.reservation import LimitInForce
from tuckshop.domain.windows import free_at_us, span_at, subwindow_start
from tuckshop.ledger.arithmetic import NOTHING, SLOT_OF, Vector
from tuckshop.ledger.contributions import (
    ROW_COLUMNS,
    Row,
    correction_vector,
    open_vectors,
    vectors_of,
)
from tuckshop.ledger.tallies import aliases_of, calendar_of


class Event(NamedTuple):
    """Something that moved counters: a reservation, a resolution, a correction or a reset."""

    position: int
    kind: str  # reserved, resolved, correction, reset
    row: Row | None  # None: a reset
    used: Vector
    held: Vector
    at_us: int  # reset: when
    scope_kind: str | None = None  # reset: where
    scope_id: str | None = None
    with_total: bool = False


def events(cursor: sqlite3.Cursor, workspace_id: str) -> Iterator[Event]:
    """Everything that ever moved a counter of the workspace, in order."""
    found: list[Event] = []
    rows: dict[str, Row] = {}
    for values in cursor.execute(
        f"SELECT {ROW_COLUMNS} FROM requests WHERE workspace_id = ? AND state <> 'refused'",  # noqa: S608 - constants
        (workspace_id,),
    ).fetchall():
        row = rows[values[0]] = Row._make(values)
        used, held = open_vectors(
            row.held_cost, row.held_input_tokens, row.held_output_tokens, row.images
        )
        found.append(Event(row.position, "reserved", row, used, held, row.admitted_at))
        if row.resolved_position is not None:
            used_after, _ = vectors_of(row)
            found.append(
                Event(
                    row.resolved_position,
                    "resolved",
                    row,
                    _minus(used_after, used),
                    _minus(NOTHING, held),
                    row.admitted_at,
                )
            )
    for (
        position,
        at_us,
        kind,
        request_id,
        scope_kind,
        scope_id,
        with_total,
        *added,
    ) in cursor.execute(
        "SELECT position, at, kind, request_id, scope_kind, scope_id, with_total, cost, input_tokens, output_tokens"
        " FROM entries WHERE workspace_id = ?",
        (workspace_id,),
    ).fetchall():
        if kind == "correction":
            if request_id not in rows:
                continue  # folded
            vector = correction_vector(*(value or 0 for value in added))
            found.append(Event(position, kind, rows[request_id], vector, NOTHING, at_us))
        elif kind == "reset":
            found.append(
                Event(
                    position, kind, None, NOTHING, NOTHING, at_us, scope_kind, scope_id, bool(with_total)
                )
            )  # fmt: skip
    return iter(sorted(found, key=lambda event: event.position))


def peak_of(cursor: sqlite3.Cursor, workspace_id: str, limit: LimitInForce) -> int:
    """The most that was ever settled and reserved at once, in any window, against *limit* (M1)."""
    slot = SLOT_OF[limit.limit.metric]
    window = limit.limit.window
    scope = limit.scope
    sums: dict[int, int] = {}  # window or sub-window start → used + held
    counted: dict[str, int] = {}  # request → what it counts now
    peak = 0
    for event in events(cursor, workspace_id):
        row = event.row
        if row is None:
            if (event.scope_kind, event.scope_id) == (scope.kind, scope.id):
                if window == "now" or (window == "total" and not event.with_total):
                    continue
                _start_afresh(limit, event, sums, counted, slot, cursor, workspace_id)
            continue
        ids = {"key": row.key_id, "member": row.member_id, "group": row.group_id}
        if ids.get(scope.kind, scope.id) != scope.id:
            continue
        if not limit.limit.selector.covers(
            row.model, aliases_of(row.model_aliases), row.endpoint_group
        ):
            continue
        if event.kind == "correction" and row.id not in counted:
            continue  # ended by a reset
        start_us = _start_of(limit, row.admitted_at)
        moved = event.used[slot] + event.held[slot]
        sums[start_us] = sums.get(start_us, 0) + moved
        counted[row.id] = counted.get(row.id, 0) + moved
        if isinstance(window, Rolling):
            # What counts when this was admitted: every sub-window that is live then.
            total = sum(
                value
                for start, value in sums.items()
                if start <= row.admitted_at < free_at_us(window, start)
            )
        else:
            total = sums[start_us]
        if event.kind == "reserved":
            peak = max(peak, total)
    return peak


def _start_of(limit: LimitInForce, at_us: int) -> int:
    window = limit.limit.window
    if isinstance(window, Rolling):
        return subwindow_start(window, at_us)
    calendar = calendar_of(limit.limit.kind.window)
    return 0 if calendar is None else span_at(calendar, at_us, limit.zone).start_us


def _start_afresh(
    limit: LimitInForce,
    reset: Event,
    sums: dict[int, int],
    counted: dict[str, int],
    slot: int,
    cursor: sqlite3.Cursor,
    workspace_id: str,
) -> None:
    """Only what was open at the reset still counts."""
    sums.clear()
    for event in events(cursor, workspace_id):
        row = event.row
        if row is None or event.kind != "reserved" or row.id not in counted:
            continue
        is_open = row.resolved_position is None or row.resolved_position > reset.position
        if is_open:
            start_us = _start_of(limit, row.admitted_at)
            sums[start_us] = sums.get(start_us, 0) + counted[row.id]
        else:
            del counted[row.id]


def _minus(a: Vector, b: Vector) -> Vector:
    return (
        a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3], a[4] - b[4], a[5] - b[5], a[6] - b[6]
    )  # fmt: skip
