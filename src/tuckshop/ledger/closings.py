"""
Closings: once a day all counters are written down at a position, so that a replay need not start at the beginning.

A closing also names the reservations that were open, because what becomes of them later moves counters again.
"""

from __future__ import annotations

import zlib
from typing import Final, TypeAlias

import msgspec

from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.storage.transaction import Transaction

DAY_US: Final = 86_400 * 1_000_000
CALENDAR_KEPT_US: Final = (
    32 * DAY_US
)  # counters of past windows: a late correction may still want them
CLOSINGS_KEPT: Final = 40

# scope kind, scope id, metric, selector, window, window start, used, held
ClosedCounter: TypeAlias = tuple[str, str, str, str, str, int, int, int]


class Closing(msgspec.Struct, frozen=True):
    """All counters of a workspace at a position."""

    counters: list[ClosedCounter]
    open: list[str]  # ids of requests that were not resolved


def packed(closing: Closing) -> bytes:
    """As it is stored."""
    return zlib.compress(msgspec.json.encode(closing), 6)


def unpacked(content: bytes) -> Closing:
    """As it was stored."""
    return msgspec.json.decode(zlib.decompress(content), type=Closing)


class ClosingTimes:
    """When to close, and the closing itself."""

    def __init__(self) -> None:
        self._due_us = 0
        self._due_before_us = 0

    def load(self, transaction: Transaction) -> None:
        """See when it was done last."""
        last = transaction.cursor.execute("SELECT max(at) FROM closings").fetchone()[0]
        # A new ledger has nothing to close before tomorrow.
        self._due_us = self._due_before_us = _next_day(
            transaction.now_us if last is None else int(last)
        )

    def are_due(self, now_us: int) -> bool:
        """Whether a new UTC day has begun since the last one."""
        self._due_before_us = self._due_us
        if self._due_us - now_us > DAY_US:  # the clock was set back, and accepted
            self._due_us = _next_day(now_us)
        return now_us >= self._due_us

    def undo(self) -> None:
        """The transaction that may have closed was rolled back."""
        self._due_us = self._due_before_us

    def take(self, transaction: Transaction) -> None:
        """
        Close every workspace, at the start of a batch, and let go of counters of windows long past.

        Memory must read counters again afterwards.
        """
        self._due_us = _next_day(transaction.now_us)
        cursor = transaction.cursor
        workspaces = [row[0] for row in cursor.execute("SELECT id FROM workspaces").fetchall()]
        for workspace_id in workspaces or [DEFAULT_WORKSPACE]:
            cursor.execute(
                'DELETE FROM counters WHERE workspace_id = ? AND window_end <= ? AND "window" LIKE ?',
                (workspace_id, transaction.now_us, "rolling:%"),
            )
            cursor.execute(
                "DELETE FROM counters WHERE workspace_id = ? AND window_end <= ? AND held = 0",
                (workspace_id, transaction.now_us - CALENDAR_KEPT_US),
            )
            counters = cursor.execute(
                'SELECT scope_kind, scope_id, metric, selector, "window", window_start, used, held'
                " FROM counters WHERE workspace_id = ?",
                (workspace_id,),
            ).fetchall()
            open_ids = [
                row[0]
                for row in cursor.execute(
                    "SELECT id FROM requests WHERE workspace_id = ? AND state = 'reserved'",
                    (workspace_id,),
                ).fetchall()
            ]
            cursor.execute(
                "INSERT INTO closings (workspace_id, position, at, counters) VALUES (?, ?, ?, ?)",
                (
                    workspace_id,
                    transaction.next_position(workspace_id),
                    transaction.now_us,
                    packed(Closing(counters, open_ids)),
                ),
            )
            cursor.execute(
                "DELETE FROM closings WHERE workspace_id = ? AND position NOT IN"
                " (SELECT position FROM closings WHERE workspace_id = ? ORDER BY position DESC LIMIT ?)",
                (workspace_id, workspace_id, CLOSINGS_KEPT),
            )


def _next_day(at_us: int) -> int:
    return at_us - at_us % DAY_US + DAY_US
