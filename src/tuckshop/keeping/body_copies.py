"""Copies of the file of bodies: made while a server writes it, and taken in again after a restore (P2, P10)."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError
from tuckshop.keeping.body_file import BodyFile, reading

_PAGES_AT_ONCE: Final = 1_000  # 4 MB: the disk serves others in between
_PAUSE_S: Final = 0.01
_ROWS_AT_ONCE: Final = 100


def copy_bodies(path: Path, target: Path) -> bool:
    """
    A copy of the bodies at *path*, also while a server writes them; False: there are none.

    They open with the keys of their members only, which are not in it (P10).

    Raises:
        StoreError: They cannot be copied.
    """
    with reading(path) as found:
        if found is None:
            return False
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        # One snapshot from the first piece to the last: else each body that is written meanwhile would begin it anew.
        found.hold_still()
        with closing(sqlite3.connect(target)) as copy:
            found.copy_to(copy, pages=_PAGES_AT_ONCE, pause_s=_PAUSE_S)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # no log beside it
    return True


def check_copy(path: Path) -> None:
    """
    Read all of a copy once.

    Raises:
        StoreError: It is not whole, or no file of bodies.
    """
    with reading(path) as found:
        if found is None:
            raise StoreError(f"there is no copy of bodies at {path}")
        damage = found.first_damage()
    if damage is not None:
        raise StoreError(f"{path} cannot be used: {damage}")


def take_in_bodies(copy: Path, path: Path, *, max_bytes: int) -> int:
    """
    Put the bodies of *copy* to those at *path*, which no server uses; how many were not there.

    Those that are there stay as they are. Doing it again adds nothing.

    Raises:
        StoreError: One of the files cannot be used, or they do not fit into *max_bytes*.
    """
    with reading(copy) as found:
        if found is None:
            raise StoreError(f"there is no copy of bodies at {copy}")
        try:
            file = BodyFile(path, max_bytes=max_bytes)
            try:
                added = sum(file.add(rows) for rows in found.all_rows(_ROWS_AT_ONCE))
                file.empty_log()
            finally:
                file.close()
        except sqlite3.Error as error:
            raise StoreError(f"{path} does not take in what {copy.name} holds: {error}") from error
    return added
