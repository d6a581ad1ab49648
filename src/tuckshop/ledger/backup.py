"""
A copy of the ledger: made while a server writes it, and proven before it gets its name.

It is one SQLite file with everything that the ledger holds and nothing that opens a door: keys stand in it as digests,
the operator's token and `secret-key` are in no database, and the sealed credentials of upstreams are taken out (P10).
It carries the time at which it was made, so that however it comes back, by `tuckshop restore` or by hand, no server
starts on it before somebody has acknowledged what it does not know (D8).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import StoreError
from tuckshop.ledger.verify import Report, verify
from tuckshop.storage import schema_version
from tuckshop.storage.data_folder import sync_file
from tuckshop.storage.database import (
    BACKUP_MADE_AT,
    check_header,
    check_identity,
    check_pages,
    open_for_reading,
    setting_of,
)
from tuckshop.storage.sqlite import open_reader, unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What stands in a backup's file."""

    path: Path
    epoch: str  # of which ledger
    made_at_us: int
    revision: str | None  # of the schema
    size_bytes: int


def back_up(ledger: Path, target: Path, clock: Clock) -> tuple[Backup, Report]:
    """
    Copy *ledger* to the new file *target*, also while a server writes it.

    Returns:
        The backup, and what a full verification of it says: a copy of a ledger that contradicts itself is kept.
    Raises:
        StoreError: There is something at *target*, it cannot be written, or the ledger cannot be read.
    """
    if os.path.lexists(target):
        raise StoreError(f"{target} is there already, and a backup replaces nothing: name another")
    draft = target.with_name(f".{target.name}.{os.getpid()}.new")
    made_at_us = clock.now_us()  # before the copy, so that the gap is never told too short
    try:
        with closing(open_for_reading(ledger)) as source:
            copy_ledger(source, draft, made_at_us=made_at_us)
        backup = examine(draft)
        with closing(open_reader(draft)) as copy:
            report = verify(copy, full=True)
        sync_file(draft)
        _publish(draft, target)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return (
        Backup(
            path=target,
            epoch=backup.epoch,
            made_at_us=backup.made_at_us,
            revision=backup.revision,
            size_bytes=backup.size_bytes,
        ),
        report,
    )


def examine(path: Path) -> Backup:
    """
    What *path* holds: a backup, or another file of a ledger, such as the one that a migration leaves.

    Raises:
        StoreError: It is no ledger, not whole, or newer than this program.
    """
    try:
        check_header(path)
        size = path.stat().st_size
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        with closing(open_reader(path)) as connection:
            epoch = check_identity(path, connection, None)
            check_pages(path, connection)
            revision = schema_version.known(path, connection)
            made_at_us = _made_at_us(connection)
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    return Backup(
        path=path,
        epoch=epoch,
        made_at_us=made_at_us,
        revision=revision,
        size_bytes=size,
    )


def _made_at_us(connection: sqlite3.Connection) -> int:
    """When the backup was made; of a file without that mark, the latest time that it knows."""
    made_at = setting_of(connection, BACKUP_MADE_AT)
    if made_at is not None:
        return int(made_at)
    (last_us,) = connection.execute(
        "SELECT max(max(admitted_at, coalesce(resolved_at, 0))) FROM requests"
    ).fetchone()
    return max(int(setting_of(connection, "clock_high_water") or 0), last_us or 0)


def copy_ledger(source: sqlite3.Connection, draft: Path, *, made_at_us: int) -> None:
    """
    Write what *source* sees at one instant to *draft*, one file for its owner only, marked as a backup.

    Raises:
        OSError: *draft* cannot be made.
        StoreError: It cannot be written whole.
    """
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            source.backup(copy)  # in one step: one snapshot
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # no log beside it
            _take_credentials_out(copy)
            copy.execute(
                "INSERT INTO settings (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (BACKUP_MADE_AT, str(made_at_us)),
            )
    except sqlite3.Error as error:
        draft.unlink(missing_ok=True)
        raise StoreError(f"{draft.parent} does not take the copy: {error}") from error


def _take_credentials_out(copy: sqlite3.Connection) -> None:
    """Sealed or not, a copy that travels holds none of them; what is overwritten leaves nothing in free pages."""
    if not has_upstreams(copy):
        return
    copy.execute("PRAGMA secure_delete = ON").fetchall()
    copy.execute(
        "UPDATE upstreams SET sealed = NULL, credential_source = NULL WHERE sealed IS NOT NULL"
    )


def upstreams_without_credential(path: Path) -> list[str]:
    """The names of a copy's upstreams that have to be given their credentials again."""
    with closing(open_reader(path)) as connection:
        if not has_upstreams(connection):
            return []
        rows = connection.execute(
            "SELECT name FROM upstreams WHERE credential_source IS NULL ORDER BY id"
        )
        return [str(name) for (name,) in rows]


def has_upstreams(connection: sqlite3.Connection) -> bool:
    """Is the schema one that has upstreams?"""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'upstreams'"
    return connection.execute(query).fetchone() is not None


def _publish(draft: Path, target: Path) -> None:
    """Give *draft* its name, unless somebody took it meanwhile."""
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise StoreError(f"{target} appeared meanwhile, and a backup replaces nothing") from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise StoreError(
                f"{target} appeared meanwhile, and a backup replaces nothing"
            ) from None
        draft.rename(target)
    sync_file(target.parent)
