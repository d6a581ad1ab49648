"""The writer's connection and the transaction on it: plain cursor and SQLAlchemy over one driver connection."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from tuckshop.storage.sqlite import Durability, WriterConnection, open_writer
from tuckshop.storage.transaction import Transaction

_log: Final = logging.getLogger(__name__)


class WriterSession:
    """Begin, commit, roll back. Belongs to one thread."""

    def __init__(self, path: Path, durability: Durability) -> None:
        self.driver: WriterConnection = open_writer(path, durability)
        self._cursor = self.driver.cursor()
        # SQLAlchemy's own BEGIN is nothing on this driver, and its COMMIT and ROLLBACK do nothing on this connection.
        self._engine = create_engine(
            "sqlite://",
            creator=lambda: self.driver,
            poolclass=StaticPool,
            hide_parameters=True,  # names and digests never reach an error's text (P1)
        )
        self._connection = self._engine.connect()
        self.transaction = Transaction(self._connection, self._cursor)

    def begin(self, now_us: int) -> None:
        """Take the write lock, or fail within the busy timeout."""
        self._cursor.execute("BEGIN IMMEDIATE")
        self.transaction.opened(now_us)

    def commit(self) -> None:
        """Commit and, with full durability, sync."""
        self._cursor.execute("COMMIT")
        self.transaction.keep()

    def roll_back(self) -> None:
        """End the transaction without a trace, whatever state the failure left it in."""
        if self.driver.in_transaction:  # SQLite ends it itself on some errors
            try:
                self._cursor.execute("ROLLBACK")
            except sqlite3.Error:
                _log.exception("the ledger's transaction could not be rolled back")
        self.transaction.closed_without_commit()

    def savepoint(self) -> None:
        """Begin work that may fail alone."""
        self._cursor.execute("SAVEPOINT work")
        self.transaction.save()

    def release(self) -> None:
        """Keep what was done since the savepoint."""
        self._cursor.execute("RELEASE work")
        self.transaction.keep()

    def roll_back_to_savepoint(self) -> None:
        """Undo what was done since the savepoint."""
        self._cursor.execute("ROLLBACK TO work")
        self._cursor.execute("RELEASE work")
        self.transaction.restore()

    def checkpoint(self, *, truncate: bool = False) -> int:
        """
        Move what is committed from the log into the database.

        Returns:
            Pages left in the log, because a reader still needs them.
        """
        mode = "TRUNCATE" if truncate else "PASSIVE"
        _, in_log, moved = self._cursor.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return int(in_log) - int(moved)

    def empty_log(self) -> bool:
        """Move all that is committed into the database and cut the log off; False: somebody reads, and keeps it."""
        busy, _, _ = self._cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        try:
            self._connection.close()
            self._engine.dispose()
            self.driver.close()
        except sqlite3.Error:
            _log.exception("the ledger's connection did not close cleanly")
