"""
A copy of the ledger, made while a server writes it.

It is one SQLite file with everything that the ledger holds and nothing that opens a door: keys stand in it as digests,
the operator's token and `secret-key` are in no database, and what is sealed (credentials of upstreams, secrets of
webhooks) is taken out (P10).
It carries the time at which it was made, so that however it comes back, by `tuckshop restore` or by hand, no server
starts on it before somebody has acknowledged what it does not know (D8).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError
from tuckshop.storage import schema_version
from tuckshop.storage.database import (
    BACKUP_MADE_AT,
    check_header,
    check_identity,
    check_pages,
    setting_of,
)
from tuckshop.storage.sqlite import open_reader, unusable

# What stands in the ledger sealed with a key derived from `secret-key`: how it is taken out, and put back.
_SEALED: Final = {
    "upstreams": (
        "UPDATE upstreams SET sealed = NULL, credential_source = NULL WHERE sealed IS NOT NULL",
        "UPDATE upstreams SET sealed = ?, credential_source = 'sealed' WHERE workspace_id = ? AND id = ?",
    ),
    "webhooks": (
        "UPDATE webhooks SET sealed = x''",
        "UPDATE webhooks SET sealed = ? WHERE workspace_id = ? AND id = ?",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What stands in a backup's file."""

    path: Path
    epoch: str  # of which ledger
    made_at_us: int
    revision: str | None  # of the schema
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SealedValue:
    """What was taken out of a copy: closed with a key derived from `secret-key`, which is in no ledger."""

    table: str  # one of those of `_SEALED`
    workspace_id: str
    id: str
    sealed: bytes


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


def copy_ledger(source: sqlite3.Connection, draft: Path, *, made_at_us: int) -> list[SealedValue]:
    """
    Write what *source* sees at one instant to *draft*, one file for its owner only, marked as a backup.

    Returns:
        The sealed values that are not in it.
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
            taken_out = _take_sealed_out(copy)
            copy.execute(
                "INSERT INTO settings (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (BACKUP_MADE_AT, str(made_at_us)),
            )
            return taken_out
    except sqlite3.Error as error:
        draft.unlink(missing_ok=True)
        raise StoreError(f"{draft.parent} does not take the copy: {error}") from error


def put_sealed_back(ledger: Path, values: list[SealedValue]) -> None:
    """
    Give a restored ledger, which nobody uses yet, the values that its backup was made without.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for value in values:
                _, put_back = _SEALED[value.table]
                connection.execute(put_back, (value.sealed, value.workspace_id, value.id))
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise unusable(ledger, error) from error


def _take_sealed_out(copy: sqlite3.Connection) -> list[SealedValue]:
    """Sealed or not, a copy that travels holds none of them; what is overwritten leaves nothing in free pages."""
    taken_out: list[SealedValue] = []
    copy.execute("PRAGMA secure_delete = ON").fetchall()
    for table, (take_out, _) in _SEALED.items():
        if not has_table(copy, table):
            continue  # of a schema that had none yet
        taken_out += [
            SealedValue(table, workspace_id, id_, sealed)
            for workspace_id, id_, sealed in copy.execute(
                f"SELECT workspace_id, id, sealed FROM {table} WHERE length(sealed) > 0"  # noqa: S608 - ours
            ).fetchall()
        ]
        copy.execute(take_out)
    return taken_out


def upstreams_without_credential(path: Path) -> list[str]:
    """The names of a copy's upstreams that have to be given their credentials again."""
    with closing(open_reader(path)) as connection:
        if not has_upstreams(connection):
            return []
        rows = connection.execute(
            "SELECT name FROM upstreams WHERE credential_source IS NULL ORDER BY id"
        )
        return [str(name) for (name,) in rows]


def webhooks_without_secret(path: Path) -> list[str]:
    """The ids of a copy's webhooks that have to be given new secrets."""
    with closing(open_reader(path)) as connection:
        if not has_table(connection, "webhooks"):
            return []
        rows = connection.execute("SELECT id FROM webhooks WHERE length(sealed) = 0 ORDER BY id")
        return [str(id_) for (id_,) in rows]


def has_upstreams(connection: sqlite3.Connection) -> bool:
    """Is the schema one that has upstreams?"""
    return has_table(connection, "upstreams")


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Is the schema one that has a table of this name?"""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return connection.execute(query, (name,)).fetchone() is not None
