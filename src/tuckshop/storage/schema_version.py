"""
Which schema a ledger file has, and how it gets the present one.

A new file is made from the tables' own description; an older one is migrated by Alembic, which is imported only then
(it costs 0.8 s). A test proves that both ways lead to the same schema.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Column, MetaData, String, Table, create_mock_engine
from sqlalchemy.schema import ExecutableDDLElement

from tuckshop.domain.errors import StoreError
from tuckshop.storage import schema
from tuckshop.storage.data_folder import sync_file
from tuckshop.storage.sqlite import APPLICATION_ID, WriterConnection

HEAD: Final = "0004"  # the newest migration in migrations/versions
_log: Final = logging.getLogger(__name__)


def of(connection: sqlite3.Connection) -> str | None:
    """The revision of an open ledger; None: it has none."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:  # no such table
        return None
    return None if row is None else str(row[0])


def known(path: Path, connection: sqlite3.Connection) -> str:
    """
    The revision of an open ledger, which is the present one or can be migrated to it.

    Raises:
        StoreError: It is newer than this program, or has no revision.
    """
    revision = of(connection)
    if revision is None:
        raise StoreError(f"{path} has no schema revision: it is damaged or was never finished")
    if revision != HEAD:
        from tuckshop.storage.migrations import upgrade

        if not upgrade.knows(revision):
            raise StoreError(
                f"{path} has schema {revision}, which is newer than this program ({HEAD}):"
                " install the tuckshop that wrote it, or a later one"
            )
    return revision


def create(path: Path, epoch: str) -> None:
    """Make a new ledger at *path*. It is there whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    for old in (draft, draft.with_name(f"{draft.name}-journal")):
        old.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(draft)) as driver:
            # A draft need not survive anything: it counts only once it is synced and has its name. So no table and no
            # index waits for the disk of its own, which took seconds where others wrote too.
            driver.execute("PRAGMA synchronous = OFF")
            driver.execute("PRAGMA journal_mode = MEMORY")
            driver.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            driver.execute("BEGIN")
            for statement in _statements():
                driver.execute(statement)
            driver.execute("INSERT INTO alembic_version (version_num) VALUES (?)", (HEAD,))
            driver.executemany(
                "INSERT INTO settings (name, value) VALUES (?, ?)",
                [("epoch", epoch), ("clean_stop", "1")],
            )
            driver.commit()
    except sqlite3.Error as error:
        draft.unlink(missing_ok=True)
        raise StoreError(f"the ledger {path} cannot be made: {error}") from error
    sync_file(draft)
    draft.rename(path)
    sync_file(path.parent)


def migrate(path: Path, connection: WriterConnection) -> None:
    """
    Bring an open ledger to the present schema, with a backup beside it first.

    Raises:
        StoreError: It is newer than this program, or has no revision.
    """
    revision = known(path, connection)
    if revision == HEAD:
        return
    from tuckshop.storage.migrations import upgrade

    backup = path.with_name(f"{path.name}.before-{HEAD}")
    _log.warning("migrating the ledger from %s to %s; backup: %s", revision, HEAD, backup)
    _back_up(connection, backup)
    upgrade.to_head(connection)


def _back_up(connection: sqlite3.Connection, backup: Path) -> None:
    draft = backup.with_name(f"{backup.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    with closing(sqlite3.connect(draft)) as copy:
        connection.backup(copy)
    sync_file(draft)
    draft.rename(backup)
    sync_file(backup.parent)


@cache
def _statements() -> tuple[str, ...]:
    """What makes all tables and indexes."""
    made: list[str] = []

    def note(statement: ExecutableDDLElement, *_: object, **__: object) -> None:
        made.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine("sqlite://", note)
    schema.metadata.create_all(engine, checkfirst=False)
    _version_table().create(engine, checkfirst=False)
    return tuple(made)


def _version_table() -> Table:
    """Alembic's own table, as Alembic makes it."""
    return Table(
        "alembic_version",
        MetaData(),
        Column("version_num", String(32), nullable=False, primary_key=True),
    )
