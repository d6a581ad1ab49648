"""
The keys of persons: one per member, under which everything is closed that may have to be forgotten (P4, P10).

They lie in a file of their own beside the ledger, so that a backup of the ledger holds none of them: when a person's
key is destroyed, what was closed with it is dark wherever a copy of it lies. Each is wrapped by a key that is derived
from the server's secret and bound to its member. A key that was destroyed leaves an empty row, so that nothing that is
late gives the person a new one.

The file is an SQLite database with a rollback journal: what is deleted is overwritten in place, and the journal that
held it is gone when the change is made. Every change is synced before it counts.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError
from tuckshop.storage.data_folder import sync_file
from tuckshop.storage.sealing import KEY_BYTES, Sealer, SealError
from tuckshop.storage.sqlite import BUSY_TIMEOUT_MS, set_pragmas, unusable

PERSON_KEYS_NAME: Final = "person-keys.db"
PERSON_KEYS: Final = "person keys"  # what the key that wraps them is derived for
CACHE_MAX: Final = 1024
_APPLICATION_ID: Final = 0x7475636D  # in the file's header: whose file it is
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS person_keys (
    member_id TEXT PRIMARY KEY,
    wrapped BLOB -- null: destroyed
) WITHOUT ROWID
"""


class PersonKeyGoneError(StoreError):
    """The key of a person was destroyed, or never was: what is closed with it cannot be opened by anybody."""


class PersonKeys:
    """Closes and opens with the keys of persons. For worker threads and the writer's: it waits for the disk."""

    def __init__(self, path: Path, wrapping_key: bytes, connection: sqlite3.Connection) -> None:
        self.path = path
        self._wrapper = Sealer(wrapping_key)
        self._trace_key = hmac.digest(
            wrapping_key, b"external ids of those who were erased", "sha256"
        )
        self._connection = connection
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, Sealer] = OrderedDict()

    @classmethod
    def open_beside(cls, ledger: Path, wrapping_key: bytes) -> PersonKeys:
        """
        Those of *ledger*; made where there are none.

        Raises:
            StoreError: The file cannot be used.
        """
        path = ledger.with_name(PERSON_KEYS_NAME)
        return cls(path, wrapping_key, open_person_keys(path))

    def seal(self, member_id: str, data: bytes, *, place: str) -> bytes:
        """
        *data*, closed with the member's key, which is made and on the disk before. *place* names what is closed.

        Raises:
            PersonKeyGoneError: The member was erased.
            StoreError: The key cannot be made.
        """
        sealer = self._known(member_id)
        if sealer is None:
            self.ensure([member_id])
            sealer = self._found(member_id)
        return sealer.seal(data, place=f"{member_id}/{place}")

    def open(self, member_id: str, sealed: bytes, *, place: str) -> bytes:
        """
        What `seal` closed at the same *place*.

        Raises:
            PersonKeyGoneError: The member was erased.
            SealError: It was closed for another place or with a former key, or is damaged.
        """
        return self._found(member_id).open_bytes(sealed, place=f"{member_id}/{place}")

    def ensure(self, member_ids: Collection[str]) -> None:
        """
        Make the keys that are missing, with one sync: for whoever is about to close something for many.

        Those that were destroyed stay so.
        """
        new = [(id_, self._wrapped(id_, secrets.token_bytes(KEY_BYTES))) for id_ in member_ids]
        with self._change() as connection:
            connection.executemany("INSERT OR IGNORE INTO person_keys VALUES (?, ?)", new)

    def destroy(self, member_ids: Collection[str]) -> int:
        """
        Destroy the keys of these members for good. Repeating it does nothing.

        Returns:
            How many there were.
        """
        with self._change() as connection:
            for id_ in member_ids:
                self._cache.pop(id_, None)
            destroyed = connection.executemany(
                "UPDATE person_keys SET wrapped = NULL WHERE member_id = ? AND wrapped IS NOT NULL",
                [(id_,) for id_ in member_ids],
            ).rowcount
            connection.executemany(
                "INSERT OR IGNORE INTO person_keys VALUES (?, NULL)",
                [(id_,) for id_ in member_ids],
            )
            return destroyed

    def renew(self, member_id: str) -> None:
        """A fresh key for one who was erased and came back. What the former one closed stays closed."""
        new = self._wrapped(member_id, secrets.token_bytes(KEY_BYTES))
        with self._change() as connection:
            connection.execute(
                "UPDATE person_keys SET wrapped = ? WHERE member_id = ? AND wrapped IS NULL",
                (new, member_id),
            )

    def trace(self, group_id: str, external_id_folded: str) -> str:
        """What may stay of an external id in its group: a keyed digest, of another key than all else (P11)."""
        text = f"{group_id}\0{external_id_folded}"
        return hmac.new(self._trace_key, text.encode(), "sha256").hexdigest()

    def alive(self, member_ids: Collection[str]) -> set[str]:
        """Those of *member_ids* that have a key."""
        with self._lock:
            return alive_in(self._connection, member_ids)

    def close(self) -> None:
        """Nothing is closed or opened any more."""
        with self._lock:
            self._cache.clear()
            self._connection.close()

    def _known(self, member_id: str) -> Sealer | None:
        with self._lock:
            sealer = self._cache.get(member_id)
            if sealer is not None:
                self._cache.move_to_end(member_id)
            return sealer

    def _found(self, member_id: str) -> Sealer:
        sealer = self._known(member_id)
        if sealer is not None:
            return sealer
        with self._lock:  # a key is never cached after it was destroyed
            row = self._connection.execute(
                "SELECT wrapped FROM person_keys WHERE member_id = ?", (member_id,)
            ).fetchone()
            if row is None or row[0] is None:
                raise PersonKeyGoneError(
                    f"there is no key of {member_id}"
                    if row is None
                    else f"the key of {member_id} was destroyed"
                )
            sealer = Sealer(self._wrapper.open_bytes(row[0], place=_place(member_id)))
            self._cache[member_id] = sealer
            if len(self._cache) > CACHE_MAX:
                self._cache.popitem(last=False)
            return sealer

    def _wrapped(self, member_id: str, key: bytes) -> bytes:
        return self._wrapper.seal(key, place=_place(member_id))

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise unusable(self.path, error) from error


def open_person_keys(path: Path) -> sqlite3.Connection:
    """
    The file of the keys, made for its owner only where there is none. May move between threads.

    Raises:
        StoreError: It cannot be used, or is another program's.
    """
    try:
        is_new = _make(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} cannot be opened: {error}") from error
    try:
        set_pragmas(
            connection,
            {
                "busy_timeout": BUSY_TIMEOUT_MS,
                "journal_mode": "delete",
                "synchronous": 3,  # with the folder, from which a journal with an old key is taken out
                "secure_delete": 1,
                "trusted_schema": 0,
                "cell_size_check": 1,
                "mmap_size": 0,
            },
        )
        (found,) = connection.execute("PRAGMA application_id").fetchone()
        if found not in (0, _APPLICATION_ID):
            raise StoreError(f"{path} is a database of another program")
        if not found:
            set_pragmas(connection, {"application_id": _APPLICATION_ID})
        connection.execute(_TABLE)
        if is_new:
            sync_file(path.parent)
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def is_file_of_keys(connection: sqlite3.Connection) -> bool:
    """Is it one of ours?"""
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    return bool(found == _APPLICATION_ID)


def opens_wrapped(wrapping_key: bytes, member_id: str, wrapped: bytes) -> bool:
    """Was the key of *member_id* wrapped with this one?"""
    try:
        Sealer(wrapping_key).open_bytes(wrapped, place=_place(member_id))
    except SealError:
        return False
    return True


def alive_in(connection: sqlite3.Connection, member_ids: Collection[str]) -> set[str]:
    """Those of *member_ids* that have a key."""
    rows = connection.execute(
        "SELECT member_id FROM person_keys WHERE wrapped IS NOT NULL"
        " AND member_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(member_ids)),),
    )
    return {id_ for (id_,) in rows}


def _make(path: Path) -> bool:
    """Make an empty file for its owner only; False: there is one."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        path.chmod(0o600)
        return False
    return True


def _place(member_id: str) -> str:
    """Where a wrapped key stands."""
    return f"person-keys/{member_id}"
