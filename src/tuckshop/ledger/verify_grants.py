"""
Whether grants were used as they may be (M8): never more than was given, and only for what was spent above the ground.

Recomputed from the rows alone. What runs now is written nowhere, so there is nothing of it to check.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from tuckshop.ledger.carry_rows import carry_rows
from tuckshop.ledger.contributions import counts_after
from tuckshop.ledger.lifting import MoneyKind
from tuckshop.ledger.tallies import aliases_of, selector_of

Differ: TypeAlias = Callable[[str, object, object], None]

_ENTRIES: Final = """
SELECT position, kind, id, scope_id, cost, grant_id, until, selector, "window", window_start, with_total, at
FROM entries WHERE workspace_id = ? AND scope_kind = 'member'
    AND kind IN ('grant', 'grant_use', 'ground', 'carry', 'reset') ORDER BY position
"""
_ROWS: Final = """
SELECT id, resolved_position, state, held_cost, cost, model, model_aliases, endpoint_group FROM requests
WHERE workspace_id = ? AND member_id = ? AND admitted_at >= ? AND admitted_at < ? AND position < ?
    AND state <> 'refused'
"""
_CORRECTED: Final = """
SELECT coalesce(sum(cost), 0) FROM entries
WHERE workspace_id = ? AND request_id = ? AND kind = 'correction' AND position < ?
"""


class _Ground(NamedTuple):
    start_us: int
    end_us: int | None
    amount: int


def verify_grants(
    cursor: sqlite3.Cursor, workspace_id: str, differ: Differ, *, since_position: int
) -> None:
    """Tell *differ* of every entry that contradicts others, or of those after *since_position* the log."""
    amounts: dict[str, tuple[str, int]] = {}  # grant → whose, and how much
    taken: defaultdict[tuple[str, MoneyKind], int] = defaultdict(int)
    grounds: dict[tuple[str, MoneyKind], _Ground] = {}
    resets: defaultdict[str, list[tuple[int, int, bool]]] = defaultdict(list)
    # Of one ground, until the next one or a reset: what its window spent cannot have changed meanwhile.
    given: defaultdict[str, defaultdict[MoneyKind, int]] = defaultdict(lambda: defaultdict(int))
    for values in cursor.execute(_ENTRIES, (workspace_id,)).fetchall():
        position, what, id_, member, cost, grant_id, until, selector, window, start, total, at = (
            values
        )
        where = f"entry {id_} ({what}, member {member})"
        kind: MoneyKind = (selector, window)
        if what == "reset":
            resets[member].append((position, at, bool(total)))
            given.pop(member, None)
            continue
        if cost < 0 or (cost == 0 and what in ("grant", "grant_use")):
            differ(where, "an amount", cost)
        if what == "grant":
            amounts[id_] = member, cost
        elif what == "ground":
            grounds[member, kind] = _Ground(start, until, cost)
            given[member].pop(kind, None)
        elif what == "grant_use":
            whose, amount = amounts.get(grant_id, (None, 0))
            taken[grant_id, kind] += cost
            if whose != member:
                differ(where, "a grant of that member before it", grant_id)
            elif taken[grant_id, kind] > amount:
                differ(where, f"at most {amount} in all", taken[grant_id, kind])
            ground = grounds.get((member, kind))
            if ground is None or ground.start_us != start:
                differ(where, "the ground of its window before it", ground and ground.start_us)
                continue
            given[member][kind] += cost
            if position <= since_position:
                continue
            spent = _spent(cursor, workspace_id, member, kind, ground, position, resets[member])
            if spent is not None and given[member][kind] > spent - ground.amount:
                differ(
                    f"{where}: given of what was spent above the ground of {ground.amount}",
                    f"at most {max(0, spent - ground.amount)}",
                    given[member][kind],
                )


def _spent(
    cursor: sqlite3.Cursor,
    workspace_id: str,
    member: str,
    kind: MoneyKind,
    ground: _Ground,
    position: int,
    resets: list[tuple[int, int, bool]],
) -> int | None:
    """Used and held of a window, as it was at *position*; None: some of it was folded since, so nobody knows."""
    selector, window = selector_of(kind[0]), kind[1]
    end_us = 2**63 - 1 if ground.end_us is None else ground.end_us
    reset = max(
        (at for at, at_us, total in resets if at_us < end_us and (total or window != "total")),
        default=0,
    )
    spent = 0
    for carried in carry_rows(cursor, workspace_id, "member", member, ground.start_us):
        row = carried.as_row
        if row.admitted_at >= end_us or not selector.covers(
            row.model, aliases_of(row.model_aliases), row.endpoint_group
        ):
            continue
        if carried.position >= position:
            return None
        if counts_after(row, reset):
            spent += carried.cost
    for id_, resolved, state, held, cost, model, aliases, endpoint in cursor.execute(
        _ROWS, (workspace_id, member, ground.start_us, end_us, position)
    ).fetchall():
        if not selector.covers(model, aliases_of(aliases), endpoint):
            continue
        if resolved is None or resolved > position:
            spent += held
        elif state == "settled" and resolved > reset:
            added = cursor.execute(_CORRECTED, (workspace_id, id_, position)).fetchone()[0]
            spent += cost + added
    return spent
