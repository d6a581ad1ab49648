"""
Putting a backup in a ledger's place, and acknowledging what it does not know (D8).

The old ledger is kept beside it. Whatever step a crash ends, the next start refuses and the same command goes on: the
marker stands before the file it belongs to, and a log of the old ledger never stands beside the new one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import StoreError
from tuckshop.ledger.backup import (
    Backup,
    copy_ledger,
    examine,
    upstreams_without_credential,
    webhooks_without_secret,
)
from tuckshop.ledger.verify import Difference, verify
from tuckshop.storage import schema_version
from tuckshop.storage.data_folder import (
    FolderLock,
    make_folder,
    read_marker,
    refuse_network_file_system,
    sync_file,
    write_marker,
)
from tuckshop.storage.database import (
    BACKUP_MADE_AT,
    check_header,
    check_identity,
    setting_of,
)
from tuckshop.storage.session import WriterSession
from tuckshop.storage.sqlite import open_reader, unusable

_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSince:
    """What the ledger that was replaced knew of the time after the backup."""

    requests: int
    cost_nano: int  # charged, or held by calls that were running


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The time that the ledger knows nothing of: to be compared with the upstream's usage report."""

    since_us: int
    until_us: int
    open_calls: int  # that were running when the backup was made: their bounds will be charged


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was done."""

    backup: Backup
    ledger: Path
    kept_aside: Path | None  # the ledger that was there before
    known_since: KnownSince | None  # None: there was none, or it could not be read
    gap: Gap
    differences: list[Difference]  # where the backup contradicts itself
    is_verified: bool  # False: its schema is older, so only a start can tell
    upstreams: list[str]  # names of those whose credentials have to be given again
    webhooks: list[str]  # ids of those that need new secrets


def restore(
    file: Path,
    ledger: Path,
    clock: Clock,
    *,
    despite_differences: bool = False,
    take_in: Callable[[Path], None] | None = None,
) -> Restored:
    """
    Put the backup *file* in the place of *ledger*; what was there is kept beside it.

    Args:
        despite_differences: Also where the backup contradicts itself.
        take_in: Called with the new ledger when all is checked and nothing is changed yet: puts what else is restored
            where it belongs. It may be called again after a crash.
    Raises:
        StoreError: A server runs over that folder, or another ledger in use lies there; it cannot be written, or *file*
            is no whole ledger, or one that contradicts itself.
    """
    backup = examine(file)
    make_folder(ledger.parent)
    refuse_network_file_system(ledger.parent)
    lock = FolderLock.take(ledger)
    draft = ledger.with_name(f"{ledger.name}.restored")
    try:
        if ledger.exists() and ledger.samefile(file):
            raise StoreError(f"{file} is the ledger itself")
        with closing(open_reader(file)) as source:
            copy_ledger(source, draft, made_at_us=backup.made_at_us)
        examine(draft)
        _refuse_another(ledger, backup)
        differences = _differences(draft, backup)
        if differences and not despite_differences:
            raise StoreError(
                f"{file} contradicts itself in {len(differences)} places, first {differences[0]}: take another backup,"
                " or restore this one with --despite-differences"
            )
        if take_in is not None:
            take_in(draft)
        sync_file(draft)
        known_since = _known_since(ledger, backup)
        kept_aside = _put_aside(ledger, clock.now_us())
        write_marker(ledger, backup.epoch)
        draft.rename(ledger)
        sync_file(ledger.parent)
        return Restored(
            backup=backup,
            ledger=ledger,
            kept_aside=kept_aside,
            known_since=known_since,
            gap=_gap(ledger, backup.made_at_us, clock.now_us()),
            differences=differences or [],
            is_verified=differences is not None,
            upstreams=upstreams_without_credential(ledger),
            webhooks=webhooks_without_secret(ledger),
        )
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{file} cannot be restored to {ledger}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
        lock.release()


def acknowledge_gap(ledger: Path, clock: Clock) -> Gap:
    """
    Let a server start on a ledger that was restored; written into its audit trail.

    Raises:
        StoreError: It was not restored, or is acknowledged already; a server runs over it.
    """
    if not ledger.exists():
        raise StoreError(f"there is no ledger at {ledger}")
    check_header(ledger)
    lock = FolderLock.take(ledger)
    try:
        session = WriterSession(ledger, "full")
        try:
            return _acknowledge(session, ledger, clock.now_us())
        finally:
            session.close()
    except sqlite3.Error as error:
        raise unusable(ledger, error) from error
    finally:
        lock.release()


def _acknowledge(session: WriterSession, ledger: Path, now_us: int) -> Gap:
    epoch = check_identity(ledger, session.driver, read_marker(ledger))
    made_at = setting_of(session.driver, BACKUP_MADE_AT)
    if made_at is None:
        raise StoreError(f"{ledger} has no gap to acknowledge: a server may start on it")
    schema_version.migrate(ledger, session.driver)  # as the next start would
    gap = _gap(ledger, int(made_at), now_us)
    transaction = session.transaction
    session.begin(now_us)
    try:
        transaction.cursor.execute("DELETE FROM settings WHERE name = ?", (BACKUP_MADE_AT,))
        transaction.audit(
            Actor(kind="cli"),
            "ledger.acknowledge_gap",
            epoch,
            {"backup_made_at_us": gap.since_us},
            {"gap_until_us": gap.until_us, "open_calls": gap.open_calls},
        )
        session.commit()
    except BaseException:
        session.roll_back()
        raise
    session.checkpoint(truncate=True)
    return gap


def _gap(ledger: Path, made_at_us: int, now_us: int) -> Gap:
    with closing(open_reader(ledger)) as connection:
        open_calls = connection.execute(
            "SELECT count(*) FROM requests WHERE state = 'reserved'"
        ).fetchone()[0]
    return Gap(since_us=made_at_us, until_us=max(made_at_us, now_us), open_calls=open_calls)


def _differences(draft: Path, backup: Backup) -> list[Difference] | None:
    """Where the ledger at *draft* contradicts itself; None: its schema is older than what this program reads."""
    if backup.revision != schema_version.HEAD:
        return None
    with closing(open_reader(draft)) as connection:
        return verify(connection, full=True).differences


def _refuse_another(ledger: Path, backup: Backup) -> None:
    """
    An empty ledger, or one that cannot be read, may make way for any other.

    Raises:
        StoreError: There is one with another's groups, which would no longer be served.
    """
    if not ledger.exists():
        return
    try:
        with closing(open_reader(ledger)) as connection:
            epoch = setting_of(connection, "epoch")
            (groups,) = connection.execute("SELECT count(*) FROM groups").fetchone()
    except (sqlite3.Error, StoreError):
        return
    if epoch != backup.epoch and groups:
        raise StoreError(
            f"{ledger} is another ledger, with groups of its own, not the one that was backed up:"
            " restore into an empty folder (TUCKSHOP_DATA)"
        )


def _known_since(ledger: Path, backup: Backup) -> KnownSince | None:
    """The old ledger may be damaged, or another's: then nothing is known."""
    if not ledger.exists():
        return None
    try:
        with closing(open_reader(ledger)) as connection:
            if setting_of(connection, "epoch") != backup.epoch:
                return None
            requests, cost = connection.execute(
                "SELECT count(*), sum(coalesce(cost, held_cost)) FROM requests"
                " WHERE state IN ('settled', 'reserved') AND (resolved_at IS NULL OR resolved_at >= ?)",
                (backup.made_at_us,),
            ).fetchone()
    except (sqlite3.Error, StoreError):
        return None
    return KnownSince(requests=requests, cost_nano=cost or 0)


def _put_aside(ledger: Path, now_us: int) -> Path | None:
    """Move the old ledger and its logs out of the way, under one name."""
    stamp = f"{_EPOCH + timedelta(microseconds=now_us):%Y%m%dT%H%M%SZ}"
    aside = ledger.with_name(f"{ledger.name}.before-restore-{stamp}")
    number = 1
    while any(aside.with_name(aside.name + suffix).exists() for suffix in _SUFFIXES):
        number += 1
        aside = ledger.with_name(f"{ledger.name}.before-restore-{stamp}-{number}")
    moved = False
    for suffix in _SUFFIXES:
        old = ledger.with_name(ledger.name + suffix)
        if old.exists():
            old.rename(aside.with_name(aside.name + suffix))
            moved = moved or not suffix
    sync_file(ledger.parent)
    return aside if moved else None
