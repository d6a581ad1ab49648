"""
Forgetting: from which network a call came leaves its row after two weeks, a bounded stretch of rows at once (P12).

How far it has come is kept in the same transaction, so that it goes on from there whatever happens in between.
"""

from __future__ import annotations

from typing import Final

from tuckshop.ledger.closings import DAY_US
from tuckshop.storage.transaction import Transaction

NETWORK_DAYS: Final = 14
BATCH_ROWS: Final = 500  # so that calls never wait long for it
_MARK: Final = "networks_forgotten:"  # and the workspace: up to which position

_NEXT: Final = """
SELECT position, admitted_at FROM requests WHERE workspace_id = ? AND position > ? ORDER BY position LIMIT ?
"""
_FORGET: Final = """
UPDATE requests SET network = NULL WHERE workspace_id = ? AND position > ? AND position <= ? AND network IS NOT NULL
"""


def forget_networks(transaction: Transaction, *, workspace_id: str, most: int = BATCH_ROWS) -> int:
    """
    Take the network off the oldest rows that still may have one, if they are old enough.

    Returns:
        How many rows were looked at and are done. Fewer than *most*: that was all for now.
    """
    cursor = transaction.cursor
    name = f"{_MARK}{workspace_id}"
    mark = int(transaction.setting(name) or 0)
    before_us = transaction.now_us - NETWORK_DAYS * DAY_US
    done, last = 0, mark
    for position, admitted_us in cursor.execute(_NEXT, (workspace_id, mark, most)).fetchall():
        if admitted_us > before_us:
            break
        done, last = done + 1, position
    if done:
        cursor.execute(_FORGET, (workspace_id, mark, last))
        transaction.remember(name, str(last))
    return done
