"""
Folding: request rows older than their group's `log_days` become carry rows, a bounded batch in one transaction (P9).

No counter and no roll-up moves, and whatever is summed or checked afterwards comes out as before (M8). Three things are
never folded: what is open; what was resolved or corrected after the seventh newest closing, so that the replay starts
behind all that was folded, and a clock that jumped ahead folds nothing for a week; and what a rolling window that is
counted now can still reach.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tuckshop.domain.limits import Calendar, Rolling
from tuckshop.domain.windows import ZoneHistory, span_at
from tuckshop.ledger.closings import DAY_US
from tuckshop.ledger.resets import limits_in_force
from tuckshop.ledger.sums import Reset, resets_of
from tuckshop.ledger.tallies import rolling_of
from tuckshop.storage.rows import zone_of_text
from tuckshop.storage.transaction import Transaction

BATCH_ROWS: Final = 200  # so that calls never wait long for it
CLOSINGS_AFTER: Final = 7

_CLOSING: Final = (
    "SELECT position FROM closings WHERE workspace_id = ? ORDER BY position DESC LIMIT 1 OFFSET ?"
)
_OLD_ROWS: Final = """
SELECT id, resolved_position, admitted_at, state, member_id, key_id, model, model_aliases, endpoint, endpoint_group,
    cost, input_tokens, output_tokens, cached_tokens, images, flags, repeats
FROM requests r WHERE workspace_id = ? AND group_id = ? AND admitted_at < ? AND state <> 'reserved'
    AND resolved_position <= ? AND NOT EXISTS (
        SELECT 1 FROM entries e WHERE e.workspace_id = r.workspace_id AND e.request_id = r.id AND e.position > ?
    )
ORDER BY admitted_at LIMIT ?
"""
_IS_REACHED: Final = (
    "SELECT 1 FROM folded WHERE workspace_id = ? AND group_id = ? AND last_at >= ? LIMIT 1"
)
_CORRECTIONS: Final = """
SELECT coalesce(sum(cost), 0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), max(position)
FROM entries WHERE workspace_id = ? AND request_id = ? AND kind = 'correction'
"""
_GROUND: Final = """
SELECT 1 FROM entries WHERE workspace_id = ? AND scope_kind = 'member' AND scope_id = ? AND kind = 'ground' LIMIT 1
"""
_ADD: Final = """
INSERT INTO folded (
    workspace_id, member_id, key_id, since, after_reset, model, model_aliases, endpoint, endpoint_group, group_id,
    until, last_at, position, requests, input_tokens, output_tokens, cached_tokens, images, cost, guessed,
    guessed_cost, uncharged
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    last_at = max(last_at, excluded.last_at), position = max(position, excluded.position),
    requests = requests + excluded.requests, input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens, cached_tokens = cached_tokens + excluded.cached_tokens,
    images = images + excluded.images, cost = cost + excluded.cost,
    guessed = guessed + excluded.guessed, guessed_cost = guessed_cost + excluded.guessed_cost,
    uncharged = uncharged + excluded.uncharged
"""
_DELETE: Final = "DELETE FROM requests WHERE workspace_id = ? AND id = ? AND state <> 'reserved'"
_GUESSED: Final = frozenset({"estimated", "unconfirmed"})


@dataclass(frozen=True, slots=True)
class _Where:
    """What all rows of a batch share."""

    workspace_id: str
    group_id: str
    zones: tuple[ZoneHistory, ZoneHistory]  # of the group, and of the workspace
    is_carrying: bool  # money is, or was, carried over


def fold(
    transaction: Transaction, *, workspace_id: str, group_id: str, most: int = BATCH_ROWS
) -> int:
    """
    Fold the oldest rows of a group that may be, at most so many.

    Returns:
        How many it were. Fewer than *most*: that was all for now.
    """
    cursor = transaction.cursor
    closing = cursor.execute(_CLOSING, (workspace_id, CLOSINGS_AFTER - 1)).fetchone()
    policy = cursor.execute(
        "SELECT g.log_days, g.carry_since, g.zone_changes, w.zone_changes FROM groups g"
        " JOIN workspaces w ON w.id = g.workspace_id WHERE g.workspace_id = ? AND g.id = ?",
        (workspace_id, group_id),
    ).fetchone()
    if closing is None or policy is None:
        return 0
    log_days, carry_since, zone, workspace_zone = policy
    rolling_us = _longest_rolling_us(cursor, workspace_id)
    before_us = transaction.now_us - max(log_days * DAY_US, rolling_us)
    reached = (workspace_id, group_id, transaction.now_us - rolling_us)
    if cursor.execute(_IS_REACHED, reached).fetchone():
        return 0  # a window set since then counts carry rows that are there: none may grow, or begin to end later
    rows = cursor.execute(
        _OLD_ROWS, (workspace_id, group_id, before_us, closing[0], closing[0], most)
    ).fetchall()
    where = _Where(
        workspace_id,
        group_id,
        (zone_of_text(zone), zone_of_text(workspace_zone)),
        carry_since is not None,
    )
    _Folding(cursor, where).fold(rows)
    return len(rows)


class _Folding:
    """One batch."""

    def __init__(self, cursor: sqlite3.Cursor, where: _Where) -> None:
        self._cursor = cursor
        self._where = where
        self._resets: dict[tuple[str, str], list[Reset]] = {}
        self._is_by_day: dict[str, bool] = {}

    def fold(self, rows: list[tuple]) -> None:  # type: ignore[type-arg]
        """Add them up, and take them out."""
        self._cursor.executemany(_ADD, [self._carried(row) for row in rows])
        self._cursor.executemany(_DELETE, [(self._where.workspace_id, row[0]) for row in rows])
        assert self._cursor.rowcount in (-1, len(rows)), "a row was folded that is not there"

    def _carried(self, row: tuple) -> tuple[object, ...]:  # type: ignore[type-arg]
        (
            id_, resolved, at_us, state, member, key, model, aliases, endpoint, endpoint_group, cost, inputs, outputs,
            cached, images, flags, repeats,
        ) = row  # fmt: skip
        workspace_id = self._where.workspace_id
        since_us, until_us = self._stretch(member, at_us)
        names = (
            workspace_id, member, key, since_us, self._last_reset(member, key, resolved), model, aliases, endpoint,
            endpoint_group, self._where.group_id, until_us, at_us,
        )  # fmt: skip
        if state != "settled":
            return (*names, resolved, 0, 0, 0, 0, 0, 0, 0, 0, repeats)
        added = self._cursor.execute(_CORRECTIONS, (workspace_id, id_)).fetchone()
        cost += added[0]
        is_guessed = not _GUESSED.isdisjoint(flags.split())
        return (
            *names, max(resolved, added[3] or 0), 1, inputs + added[1], outputs + added[2], cached, images, cost,
            int(is_guessed), cost if is_guessed else 0, 0,
        )  # fmt: skip

    def _last_reset(self, member: str, key: str, resolved: int) -> int:
        """The last one of the row's scopes that ended nothing of it."""
        where = self._where
        last = 0
        for scope in (
            ("key", key), ("member", member), ("group", where.group_id), ("workspace", where.workspace_id)
        ):  # fmt: skip
            known = self._resets.get(scope)
            if known is None:
                known = self._resets[scope] = resets_of(self._cursor, (where.workspace_id, *scope))
            last = max([last, *(reset.position for reset in known if reset.position < resolved)])
        return last

    def _stretch(self, member: str, at_us: int) -> tuple[int, int]:
        """
        The part of time around *at_us* that no window divides which may still be asked for.

        Those are months and years (and `total`), in the group's zone and the workspace's. Where grants and carried
        money matter, what a day or a week left may be asked for whenever its member comes back.
        """
        by_day = self._is_by_day.get(member)
        if by_day is None:
            by_day = self._is_by_day[member] = self._where.is_carrying or bool(
                self._cursor.execute(_GROUND, (self._where.workspace_id, member)).fetchone()
            )
        return _stretch_at(at_us - at_us % HOUR_QUARTER_US, self._where.zones, by_day)


HOUR_QUARTER_US: Final = 15 * 60 * 1_000_000  # no zone's days begin in between


@lru_cache(maxsize=1024)
def _stretch_at(
    at_us: int, zones: tuple[ZoneHistory, ZoneHistory], by_day: bool
) -> tuple[int, int]:
    windows: tuple[Calendar, ...] = (
        ("month", "year", "week", "day") if by_day else ("month", "year")
    )
    spans = [span_at(window, at_us, zone) for zone in zones for window in windows]
    ends = [span.end_us for span in spans if span.end_us is not None]
    return max(span.start_us for span in spans), min(ends)


def _longest_rolling_us(cursor: sqlite3.Cursor, workspace_id: str) -> int:
    """How far back a rolling window reaches that some limit has, or some counter."""
    windows = [limit.window for limit in limits_in_force(cursor, workspace_id)]
    names = cursor.execute(
        'SELECT DISTINCT "window" FROM counters WHERE workspace_id = ? AND "window" LIKE ?',
        (workspace_id, "rolling:%"),
    ).fetchall()
    windows += [rolling for (name,) in names if (rolling := rolling_of(name)) is not None]
    seconds = max((window.seconds for window in windows if isinstance(window, Rolling)), default=0)
    return (
        seconds + seconds // 20
    ) * 1_000_000  # its sub-windows count until their youngest instant has left
