"""
The file that bodies lie in: never the ledger's, so that nothing that happens to it touches money (D2).

It is used by one thread. What is deleted is overwritten, given back to the disk and gone from the log of the database,
so that no byte of it is left in the folder (P2).
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError
from tuckshop.keeping.kept_body import KeptBody
from tuckshop.storage.sqlite import BUSY_TIMEOUT_MS, set_pragmas

NAME: Final = "bodies.db"
ASIDE: Final = ".damaged"  # what a damaged file is called from then on
APPLICATION_ID: Final = 0x74756362  # "tucb", in the file's header: whose file it is
VERSION: Final = 1
PAGE_BYTES: Final = 4096
PIECE_ROWS: Final = 100  # deleted at once
PIECE_PAGES: Final = 2_000  # given back at once: 8 MB
_SUFFIXES: Final = ("", "-wal", "-shm")
_SCHEMA: Final = (
    """CREATE TABLE bodies (
        request_id TEXT NOT NULL PRIMARY KEY,
        workspace_id TEXT NOT NULL,
        group_id TEXT NOT NULL,
        member_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        is_flagged INTEGER NOT NULL,
        sealed BLOB NOT NULL
    )""",
    "CREATE INDEX bodies_by_group ON bodies (group_id, is_flagged, at)",
    "CREATE INDEX bodies_by_group_time ON bodies (group_id, at, request_id)",
    "CREATE INDEX bodies_by_member ON bodies (member_id, at, request_id)",
    "CREATE INDEX bodies_by_time ON bodies (at, request_id)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)
_COLUMNS: Final = "request_id, workspace_id, group_id, member_id, at, is_flagged"
_INSERT: Final = f"INSERT OR IGNORE INTO bodies ({_COLUMNS}, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - ours
_FIND: Final = f"SELECT {_COLUMNS}, sealed FROM bodies WHERE request_id = ? AND workspace_id = ?"  # noqa: S608 - ours

Row = tuple[KeptBody, bytes]


class ForeignFileError(StoreError):
    """The file is not one of bodies, or of a later version: it is left alone, and nothing is kept."""


class BodyFile:
    """The connection that writes it."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        """
        Open it, or make it.

        Raises:
            ForeignFileError: Another program's, or a later version's.
            sqlite3.Error, OSError: It cannot be used; see `is_damage`.
        """
        self._path = path
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=32)
        try:
            self._set_up(max_bytes)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def add(self, rows: Sequence[Row]) -> int:
        """Keep *rows*, all or none; one that is there stays as it is. How many were not there."""
        with self._transaction():
            return self._connection.executemany(
                _INSERT,
                [
                    (
                        *(body.request_id, body.workspace_id, body.group_id, body.member_id),
                        *(body.at_us, int(body.is_flagged), sealed),
                    )
                    for body, sealed in rows
                ],
            ).rowcount

    def flag(self, request_ids: Collection[str]) -> None:
        """In these something was flagged."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE bodies SET is_flagged = 1 WHERE request_id = ?", [(i,) for i in request_ids]
            )

    def delete_some(
        self, group_id: str, *, is_flagged: bool, before_us: int, held_members: Collection[str] = ()
    ) -> int:
        """Delete a few bodies of a group that are older than that; how many. 0: there are no more."""
        return self._delete(
            "group_id = ? AND is_flagged = ? AND at < ?"
            " AND member_id NOT IN (SELECT value FROM json_each(?))",
            (group_id, int(is_flagged), before_us, json.dumps(sorted(held_members))),
        )

    def delete_some_of(self, member_id: str) -> int:
        """The same of a member, however old."""
        return self._delete("member_id = ?", (member_id,))

    def groups(self) -> list[str]:
        """Whose bodies there are."""
        # One step of the index per group, not per body.
        rows = self._connection.execute(
            "WITH RECURSIVE found(id) AS (SELECT min(group_id) FROM bodies UNION ALL"
            " SELECT (SELECT min(group_id) FROM bodies WHERE group_id > id) FROM found WHERE id IS NOT NULL)"
            " SELECT id FROM found WHERE id IS NOT NULL"
        ).fetchall()
        return [str(group_id) for (group_id,) in rows]

    def give_back_some(self) -> bool:
        """Give free pages back to the disk; True: there are more."""
        self._connection.execute(f"PRAGMA incremental_vacuum({PIECE_PAGES})").fetchall()
        return int(self._connection.execute("PRAGMA freelist_count").fetchone()[0]) > 0

    def empty_log(self) -> bool:
        """Take all that was written into the file, and cut its log to nothing; False: somebody still reads it."""
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def free_bytes(self) -> int:
        """Space left where it lies."""
        stat = os.statvfs(self._path.parent)
        return stat.f_bavail * stat.f_frsize

    def _delete(self, where: str, values: tuple[object, ...]) -> int:
        with self._transaction():
            return self._connection.execute(
                f"DELETE FROM bodies WHERE rowid IN (SELECT rowid FROM bodies WHERE {where}"  # noqa: S608 - ours
                f" LIMIT {PIECE_ROWS})",
                values,
            ).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _set_up(self, max_bytes: int) -> None:
        connection = self._connection
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        is_new = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not is_new and (identity != APPLICATION_ID or version != VERSION):
            raise ForeignFileError(f"{self._path} is not a file of bodies that this program reads")
        if is_new:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        set_pragmas(
            connection,
            {
                "busy_timeout": BUSY_TIMEOUT_MS,
                "journal_mode": "wal",
                "synchronous": 1,  # a crash of the machine may lose the last bodies, and no more
                "secure_delete": 1,
                "temp_store": 2,  # in memory: nothing of a body in a file that nobody looks after
                "trusted_schema": 0,
                "cell_size_check": 1,
                "mmap_size": 0,
                "journal_size_limit": 0,
                "cache_size": -2_000,
            },
        )
        connection.execute(f"PRAGMA max_page_count = {max(max_bytes // PAGE_BYTES, 16)}").fetchone()
        if is_new:
            with self._transaction():
                for statement in _SCHEMA:
                    connection.execute(statement)


class BodyReading:
    """A connection that only reads. Opened where it is used, for one question."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, workspace_id: str, request_id: str) -> Row | None:
        """The body of a request."""
        found = self._connection.execute(_FIND, (request_id, workspace_id)).fetchone()
        return None if found is None else _row(found)

    def used_bytes(self) -> int:
        """What the bodies take of the quota: pages of the file that are not free."""
        pages, free, size = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def first_damage(self) -> str | None:
        """What is wrong with the file, all of which is read; None: nothing."""
        for name, ours in (("application_id", APPLICATION_ID), ("user_version", VERSION)):
            if self._connection.execute(f"PRAGMA {name}").fetchone()[0] != ours:
                return "it is not a file of bodies that this program reads"
        (told,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        return None if told == "ok" else str(told)

    def oldest(self) -> Iterator[KeptBody]:
        """The oldest of each member: of those in which something was flagged, and of the others."""
        query = (
            f"SELECT {_COLUMNS}, x'' FROM (SELECT *, min(at) FROM bodies"  # noqa: S608 - ours
            " GROUP BY group_id, member_id, is_flagged)"
        )
        for row in self._connection.execute(query):
            yield _row(row)[0]

    def newest_first(
        self,
        workspace_id: str,
        *,
        group_id: str | None,
        member_id: str | None,
        since_us: int,
        before: tuple[int, str],
        limit: int,
    ) -> list[Row]:
        """Bodies since then and before the mark (time, request), of one group or member where they are named."""
        where = "workspace_id = ? AND at >= ? AND (at, request_id) < (?, ?)"
        values: tuple[object, ...] = (workspace_id, since_us, *before)
        for column, value in (("group_id = ?", group_id), ("member_id = ?", member_id)):
            if value is not None:
                where += f" AND {column}"
                values += (value,)
        query = (
            f"SELECT {_COLUMNS}, sealed FROM bodies WHERE {where}"  # noqa: S608 - ours
            " ORDER BY at DESC, request_id DESC LIMIT ?"
        )
        return [_row(row) for row in self._connection.execute(query, (*values, limit))]

    def count(self, workspace_id: str, group_id: str) -> tuple[int, int | None]:
        """(how many bodies of a group there are, the time of the oldest)."""
        count, oldest = self._connection.execute(
            "SELECT count(*), min(at) FROM bodies WHERE group_id = ? AND workspace_id = ?",
            (group_id, workspace_id),
        ).fetchone()
        return int(count), oldest

    def count_of(self, workspace_id: str, member_ids: Collection[str]) -> int:
        """How many bodies there are of these members."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM bodies WHERE workspace_id = ?"
            " AND member_id IN (SELECT value FROM json_each(?))",
            (workspace_id, json.dumps(sorted(member_ids))),
        ).fetchone()
        return int(count)

    def count_since(
        self, workspace_id: str, member_id: str, *, flagged_us: int, others_us: int
    ) -> int:
        """How many bodies there are of a member, flagged ones and others since such a time."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM bodies WHERE workspace_id = ? AND member_id = ?"
            " AND at >= CASE WHEN is_flagged THEN ? ELSE ? END",
            (workspace_id, member_id, flagged_us, others_us),
        ).fetchone()
        return int(count)

    def by_member(self) -> dict[str, int]:
        """Member → how many bodies there are of them."""
        query = "SELECT member_id, count(*) FROM bodies GROUP BY member_id"
        return {str(id_): int(count) for id_, count in self._connection.execute(query)}

    def all_rows(self, at_once: int) -> Iterator[list[Row]]:
        """Every body, *at_once* at a time."""
        cursor = self._connection.execute(f"SELECT {_COLUMNS}, sealed FROM bodies")  # noqa: S608 - ours
        while rows := cursor.fetchmany(at_once):
            yield [_row(row) for row in rows]

    def hold_still(self) -> None:
        """See from now on what is there now."""
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def copy_to(self, target: sqlite3.Connection, *, pages: int, pause_s: float) -> None:
        """Copy the file, that many *pages* at once and a pause between."""
        self._connection.backup(target, pages=pages, sleep=pause_s)


@contextmanager
def reading(path: Path) -> Iterator[BodyReading | None]:
    """
    The bodies at *path*, also while a server writes them; None: there are none.

    Raises:
        StoreError: They cannot be read.
    """
    if not path.exists():
        yield None
        return
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False
        )
        with closing(connection):
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            connection.execute("PRAGMA query_only = 1")
            connection.execute("PRAGMA temp_store = 2")
            yield BodyReading(connection)
    except sqlite3.Error as error:
        raise StoreError(f"{path.name} cannot be read: {error}") from error


def is_damage(error: BaseException) -> bool:
    """Does *error* say that the file is not whole?"""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


def set_aside(path: Path, now_us: int) -> Path:
    """Take a damaged file out of the way; one that was set aside before is gone then."""
    remove_aside(path)
    aside = path.with_name(path.name + ASIDE)
    for suffix in _SUFFIXES:
        left = path.with_name(path.name + suffix)
        if left.exists():
            left.rename(aside.with_name(aside.name + suffix))
    os.utime(aside, ns=(now_us * 1000, now_us * 1000))
    return aside


def set_aside_at_us(path: Path) -> int | None:
    """Since when a damaged file lies beside *path*; None: there is none."""
    try:
        return path.with_name(path.name + ASIDE).stat().st_mtime_ns // 1000
    except FileNotFoundError:
        return None


def remove_aside(path: Path) -> None:
    """Delete the file that was set aside."""
    for suffix in _SUFFIXES:
        path.with_name(path.name + ASIDE + suffix).unlink(missing_ok=True)


def _row(columns: Sequence[object]) -> Row:
    request_id, workspace_id, group_id, member_id, at_us, is_flagged, sealed = columns
    assert isinstance(at_us, int)
    assert isinstance(sealed, bytes)
    body = KeptBody(
        request_id=str(request_id),
        workspace_id=str(workspace_id),
        group_id=str(group_id),
        member_id=str(member_id),
        at_us=at_us,
        is_flagged=bool(is_flagged),
    )
    return body, sealed
