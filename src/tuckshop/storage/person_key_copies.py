"""Copies of the keys of persons: made only when asked for, and taken in again after a restore (P10)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tuckshop.domain.errors import StoreError
from tuckshop.storage.person_keys import is_file_of_keys, open_person_keys, opens_wrapped
from tuckshop.storage.sqlite import open_reader, unusable


def copy_person_keys(path: Path, target: Path) -> bool:
    """
    A copy of the keys at *path*, also while a server uses them, for its owner only; False: there are none.

    Each is wrapped as it is there: without `secret-key` none opens.

    Raises:
        StoreError: They cannot be copied.
    """
    if not path.exists():
        return False
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(open_reader(path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)  # in one step: a new key waits for some milliseconds
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    return True


def check_key_copy(path: Path, wrapping_key: bytes | None) -> None:
    """
    Read all of a copy once. *wrapping_key*: that of the folder it is to be taken in to, where that has one already.

    Raises:
        StoreError: It is not whole, no file of keys, or wrapped by another key.
    """
    try:
        with closing(open_reader(path)) as connection:
            if not is_file_of_keys(connection):
                raise StoreError(f"{path} holds no keys of persons")
            if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
                raise StoreError(f"{path} is damaged")
            row = connection.execute(
                "SELECT member_id, wrapped FROM person_keys WHERE wrapped IS NOT NULL LIMIT 1"
            ).fetchone()
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    if row is not None and wrapping_key is not None and not opens_wrapped(wrapping_key, *row):
        raise StoreError(
            f"the keys in {path} are wrapped with another secret-key: put the old server's there, or move them away"
        )


def take_in_person_keys(copy: Path, path: Path) -> int:
    """
    Put the keys of *copy* to those at *path*, which no server uses; how many were not there.

    What is there stays as it is, a key that was destroyed too. Doing it again adds nothing.

    Raises:
        StoreError: One of the files cannot be used.
    """
    try:
        with closing(open_reader(copy)) as source:
            rows = source.execute("SELECT member_id, wrapped FROM person_keys").fetchall()
    except sqlite3.Error as error:
        raise unusable(copy, error) from error
    with closing(open_person_keys(path)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            added = connection.executemany(
                "INSERT OR IGNORE INTO person_keys VALUES (?, ?)", rows
            ).rowcount
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise unusable(path, error) from error
    return max(added, 0)
