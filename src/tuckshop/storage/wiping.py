"""
Making sure that what was taken out of the ledger is in no corner of its file (P4).

While a server runs, SQLite overwrites what is deleted (`secure_delete`); but a page whose rows were moved about may
keep old bytes between them, and only a copy of the whole file is free of them. Copying gives rows other numbers, which
a running ledger remembers; so it is left to the next start, and to ledgers that are copied in seconds.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Final

from tuckshop.storage.transaction import Transaction

_log: Final = logging.getLogger(__name__)

WIPE_DUE: Final = "wipe_due"  # a setting: something personal was taken out since the last copy
COPIED_MAX_BYTES: Final = 256 << 20


def ask_for_wipe(transaction: Transaction) -> None:
    """Have the next start copy the ledger."""
    transaction.remember(WIPE_DUE, "1")


def wipe_if_due(path: Path, connection: sqlite3.Connection) -> None:
    """
    Copy the ledger at *path* into itself, if something was taken out of it and it is not too large.

    Nothing else may have it open. Where there is no room for the copy it stays due.
    """
    query = "SELECT 1 FROM settings WHERE name = ?"
    if connection.execute(query, (WIPE_DUE,)).fetchone() is None:
        return
    if path.stat().st_size > COPIED_MAX_BYTES:
        return
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        _log.warning("the ledger is wiped at a later start: %s", error)
        return
    connection.execute("DELETE FROM settings WHERE name = ?", (WIPE_DUE,))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
