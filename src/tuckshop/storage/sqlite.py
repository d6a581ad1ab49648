"""
Connections to the ledger file: how each kind is set up, and the proof that it took.

Every pragma is read back, because SQLite ignores the ones it does not know (D1).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from tuckshop.domain.errors import StoreError

Durability = Literal["full", "process"]

APPLICATION_ID: Final = 0x7475636B  # "tuck", in the file's header: whose file it is
BUSY_TIMEOUT_MS: Final = 2_000
SAFE_VERSION: Final = (3, 51, 3)  # repairs the WAL-reset race of several writers or checkpointers
_SYNCHRONOUS: Final[Mapping[Durability, int]] = {"full": 2, "process": 1}


class DamagedError(StoreError):
    """The file is not whole: nothing it says is to be believed."""


class WriterConnection(sqlite3.Connection):
    """
    The one connection that writes. Only SQL text (`COMMIT`, `ROLLBACK`) ends its transactions.

    `commit()` and `rollback()` do nothing: SQLAlchemy, which borrows the connection for admin transactions, calls them
    on its own account, and must not end the batch that others are part of.
    """

    def commit(self) -> None:
        """Nothing: the writer commits."""

    def rollback(self) -> None:
        """Nothing: the writer rolls back."""


def open_writer(path: Path, durability: Durability = "full") -> WriterConnection:
    """
    A connection that may write *path*, which must exist.

    Raises:
        StoreError: It cannot be opened, or a setting did not take.
    """
    try:
        connection = sqlite3.connect(
            _uri(path, "rw"),
            uri=True,
            factory=WriterConnection,
            isolation_level=None,
            cached_statements=512,
            check_same_thread=False,  # opened by whoever starts the server, used by the writer's thread alone
        )
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be opened: {error}") from error
    assert isinstance(connection, WriterConnection)
    try:
        set_pragmas(
            connection,
            {
                "busy_timeout": BUSY_TIMEOUT_MS,
                "journal_mode": "wal",
                "synchronous": _SYNCHRONOUS[durability],
                "foreign_keys": 1,
                "trusted_schema": 0,
                "cell_size_check": 1,
                "secure_delete": 1,  # what is deleted is overwritten (P4)
                "mmap_size": 0,
                "wal_autocheckpoint": 0,  # the writer does it, after the results are out
                "journal_size_limit": 64 << 20,
                "cache_size": -8_000,
            },
        )
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, error) from error
    except StoreError:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read *path*, also while a server writes it. May move between threads."""
    try:
        connection = sqlite3.connect(
            _uri(path, "ro"), uri=True, cached_statements=256, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be opened: {error}") from error
    try:
        set_pragmas(
            connection,
            {
                "busy_timeout": BUSY_TIMEOUT_MS,
                "query_only": 1,
                "foreign_keys": 1,
                "trusted_schema": 0,
                "mmap_size": 0,
                "cache_size": -2_000,
            },
        )
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, error) from error
    except StoreError:
        connection.close()
        raise
    return connection


def unusable(path: Path, error: sqlite3.Error) -> StoreError:
    """What to tell when SQLite cannot use *path*."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    ):
        return damaged(path, error)
    return StoreError(f"{path} cannot be used: {error}")


def damaged(path: Path, reason: object) -> DamagedError:
    """What to tell of a file that is not whole."""
    return DamagedError(f"{path} is damaged ({reason}): restore a backup")


def is_safe_version(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite has the repaired WAL reset. One writer and checkpointer is safe with older ones too."""
    return version >= SAFE_VERSION


def _uri(path: Path, mode: Literal["rw", "ro"]) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


def set_pragmas(connection: sqlite3.Connection, pragmas: Mapping[str, int | str]) -> None:
    """
    Set *pragmas* and read them back.

    Raises:
        StoreError: One did not take.
    """
    for name, wanted in pragmas.items():
        connection.execute(f"PRAGMA {name} = {wanted}").fetchall()
        row = connection.execute(f"PRAGMA {name}").fetchone()
        # A build without memory mapping answers nothing to mmap_size, which is what is wanted.
        found = row[0] if row is not None else (0 if name == "mmap_size" else None)
        if found != wanted:
            raise StoreError(f"SQLite did not take the setting {name} = {wanted}; it says {found}")
