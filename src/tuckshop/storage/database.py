"""The data folder and the ledger file in it: prepared for serving, or opened to be looked at."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from tuckshop.domain.errors import ServerBusyError, StoreError
from tuckshop.storage import schema_version
from tuckshop.storage.data_folder import (
    FolderLock,
    Marker,
    make_folder,
    read_marker,
    refuse_network_file_system,
    write_marker,
)
from tuckshop.storage.session import WriterSession
from tuckshop.storage.sqlite import (
    APPLICATION_ID,
    Durability,
    damaged,
    is_safe_version,
    open_reader,
    open_writer,
    unusable,
)
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.wiping import wipe_if_due

_log: Final = logging.getLogger(__name__)
DATABASE_NAME: Final = "tuckshop.db"
CLOCK_ACCEPTED: Final = (
    "clock_accepted:"  # and a workspace: the position up to which times are not believed
)
BACKUP_MADE_AT: Final = "backup_made_at"  # a setting that only a backup has: microseconds
READERS_MAX: Final = 4
READER_WAIT_S: Final = 10.0
LONG_READ_S: Final = 30.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Database:
    """A ledger that this process, and no other, may write. Made by `prepare`."""

    def __init__(self, path: Path, *, durability: Durability, epoch: str, lock: FolderLock) -> None:
        self.path = path
        self.durability = durability
        self.epoch = epoch  # which ledger this is, for ever
        self._lock = lock
        self._readers = create_engine(
            "sqlite://",
            creator=lambda: open_reader(path),
            poolclass=QueuePool,
            pool_size=READERS_MAX,
            max_overflow=0,
            pool_timeout=READER_WAIT_S,
            hide_parameters=True,  # names and digests never reach an error's text (P1)
        )
        self._reading: dict[sqlite3.Connection, float] = {}
        self._reading_lock = threading.Lock()

    @contextmanager
    def reader(self) -> Iterator[Connection]:
        """
        A connection that sees what is committed and can change nothing. For worker threads, never the event loop.

        Raises:
            ServerBusyError: All readers were busy for too long.
        """
        try:
            connection = self._readers.connect()
        except PoolTimeoutError as error:
            raise ServerBusyError("too many reports are running", retry_after_s=5) from error
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        with self._reading_lock:
            self._reading[driver] = time.monotonic()
        try:
            yield connection
        finally:
            with self._reading_lock:
                del self._reading[driver]
            connection.close()

    def let_readers_go(self) -> None:
        """Close the readers that rest, so that the writer is the last to leave and takes its log with it."""
        self._readers.dispose()

    def interrupt_long_readers(self) -> None:
        """End reads that have gone on for so long that the log cannot be emptied because of them."""
        now_s = time.monotonic()
        with self._reading_lock:
            for driver, since_s in self._reading.items():
                if now_s - since_s > LONG_READ_S:
                    driver.interrupt()

    def open_session(self) -> WriterSession:
        """The writer's connection. Opened and used by the writer's thread."""
        return WriterSession(self.path, self.durability)

    def check(self) -> None:
        """
        Open the file afresh and check it.

        Raises:
            StoreError: It is damaged, or another ledger stands in its place.
        """
        with closing(open_writer(self.path, self.durability)) as connection:
            check_pages(self.path, connection)
            if _epoch_of(self.path, connection) != self.epoch:
                raise StoreError(f"{self.path} is not the ledger that was opened at the start")

    def clock_mark_us(self, transaction: Transaction) -> int:
        """The latest time that the ledger knows of: the stored mark, or a row's that is later and was not disowned."""
        mark = int(transaction.setting("clock_high_water") or 0)
        rows = transaction.cursor.execute(
            "SELECT (SELECT admitted_at FROM requests WHERE workspace_id = w.id AND position >"
            " coalesce((SELECT CAST(value AS INTEGER) FROM settings WHERE name = ? || w.id), 0)"
            " ORDER BY position DESC LIMIT 1) FROM workspaces w",
            (CLOCK_ACCEPTED,),
        ).fetchall()
        return max([mark, *(int(at) for (at,) in rows if at is not None)])

    def zones(self, transaction: Transaction) -> frozenset[str]:
        """The time zones in which somebody's days begin."""
        rows = transaction.cursor.execute(
            "SELECT zone_changes FROM workspaces UNION SELECT zone_changes FROM groups"
        ).fetchall()
        names = {str(zone) for (changes,) in rows for _, zone in json.loads(changes)}
        return frozenset({"UTC", *names})

    def free_bytes(self) -> int:
        """Space left where the ledger lies."""
        stat = os.statvfs(self.path.parent)
        return stat.f_bavail * stat.f_frsize

    def close(self) -> None:
        """Close the readers and give the folder back. The writer has stopped before."""
        self._readers.dispose()
        self._lock.release()


def prepare(
    folder: Path, *, database: Path | None = None, durability: Durability = "full"
) -> Database:
    """
    The ledger of *folder*, ready to be served from: made if there never was one, migrated if it is older.

    Args:
        folder: The data folder, made with mode 0700 where there is none.
        database: The file, where it does not lie in the folder; its own folder then holds lock and marker.
    Raises:
        StoreError: In use by another process, missing where there was one, damaged, foreign, newer than this program,
            or in a folder that cannot be written. Says what to do.
    """
    make_folder(folder)
    path = database if database is not None else folder / DATABASE_NAME
    if path.parent != folder:
        make_folder(path.parent)
    refuse_network_file_system(path.parent)
    if not is_safe_version():
        _log.warning(
            "SQLite %s is older than 3.51.3, whose WAL mode is safe with several writers; tuckshop has only one",
            sqlite3.sqlite_version,
        )
    lock = FolderLock.take(path)
    try:
        epoch = _prepare_locked(path, durability)
    except OSError as error:
        lock.release()
        raise StoreError(f"{path.parent} cannot be used: {error}") from error
    except BaseException:
        lock.release()
        raise
    return Database(path, durability=durability, epoch=epoch, lock=lock)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """
    The ledger at *path* to look at, also while a server writes it. *path* may be its data folder.

    Raises:
        StoreError: There is none, or it is not a ledger of this program's version.
    """
    if path.is_dir():
        path = path / DATABASE_NAME
    if not path.exists():
        raise StoreError(f"there is no ledger at {path}")
    check_header(path)
    connection = open_reader(path)
    try:
        check_identity(path, connection, read_marker(path))
        revision = schema_version.of(connection)
        if revision != schema_version.HEAD:
            raise StoreError(
                f"{path} has schema {revision}, this program reads {schema_version.HEAD}; start the server once"
                " to migrate it, or use the program that wrote it"
            )
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare_locked(path: Path, durability: Durability) -> str:
    marker = read_marker(path)
    if not path.exists():
        if marker is not None:
            raise StoreError(
                f"{path} is missing, but {marker.path.name} says that there was a ledger here."
                " Put it back or restore a backup; to begin anew, remove that file too"
            )
        for suffix in ("-wal", "-journal"):
            left = path.with_name(path.name + suffix)
            if left.exists() and left.stat().st_size:
                raise StoreError(
                    f"{path} is missing, but {left.name} is there. Put the ledger back or restore a backup"
                )
        epoch = secrets.token_hex(16)
        schema_version.create(path, epoch)
        write_marker(path, epoch)
        return epoch
    check_header(path)
    with closing(open_writer(path, durability)) as connection:
        try:
            epoch = check_identity(path, connection, marker)
            refuse_gap(path, connection)
            if setting_of(connection, "clean_stop") != "1":
                _log.warning("the ledger was not closed cleanly: checking it")
                check_pages(path, connection)
            schema_version.migrate(path, connection)
            wipe_if_due(path, connection)
        except sqlite3.Error as error:
            raise unusable(path, error) from error
    if marker is None:
        _log.warning("%s came without its marker; written anew", path)
        write_marker(path, epoch)
    return epoch


def check_header(path: Path) -> None:
    """
    Look at the first bytes of the file.

    Raises:
        StoreError: It is cut off, or no database.
    """
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100:
        raise StoreError(f"{path} is empty or cut off: restore a backup")
    if not header.startswith(b"SQLite format 3\x00"):
        raise StoreError(f"{path} is not an SQLite database: it is damaged or not a ledger")
    # Looked up in the file itself, since opening another program's database would already change it to WAL.
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program, not a ledger of tuckshop")


def check_identity(path: Path, connection: sqlite3.Connection, marker: Marker | None) -> str:
    """
    The epoch of the ledger at *path*.

    Raises:
        StoreError: It is no ledger, or not the one that *marker* stands for.
    """
    epoch = _epoch_of(path, connection)
    if marker is not None and marker.epoch != epoch:
        raise StoreError(
            f"{path} is not the ledger that {marker.path.name} belongs to: its epoch is {epoch},"
            f" expected {marker.epoch}"
        )
    return epoch


def refuse_gap(path: Path, connection: sqlite3.Connection) -> None:
    """
    A ledger that came back from a backup does not know what was spent since (D8).

    Raises:
        StoreError: It is such a one, and nobody has acknowledged that yet.
    """
    made_at = setting_of(connection, BACKUP_MADE_AT)
    if made_at is not None:
        raise StoreError(
            f"{path} is a backup of {told_time(int(made_at))}: what was spent since then is not in it, so the"
            " limits of that time hold again. `tuckshop restore --acknowledge-gap` lists the gap and lets the"
            " server start"
        )


def told_time(at_us: int) -> str:
    """An instant as people read it."""
    return f"{_EPOCH + timedelta(microseconds=at_us):%Y-%m-%d %H:%M:%S} UTC"


def _epoch_of(path: Path, connection: sqlite3.Connection) -> str:
    epoch = setting_of(connection, "epoch")
    if epoch is None:
        raise StoreError(f"{path} has no epoch: it is damaged or was never finished")
    return epoch


def setting_of(connection: sqlite3.Connection, name: str) -> str | None:
    """What the ledger remembers under *name*."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def check_pages(path: Path, connection: sqlite3.Connection) -> None:
    """
    Read the whole file once.

    Raises:
        DamagedError: It is not whole.
    """
    found = connection.execute("PRAGMA quick_check(5)").fetchall()
    if found != [("ok",)]:
        raise damaged(path, "; ".join(str(line) for (line,) in found))
