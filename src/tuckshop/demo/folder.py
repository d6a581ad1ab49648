"""The demo's data folder: made anew each time, and never made out of a folder that is not a demo's."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError
from tuckshop.storage.data_folder import MARKER_NAME, FolderLock
from tuckshop.storage.database import DATABASE_NAME

SIGN_NAME: Final = "this-is-a-demo"
_SIGN: Final = (
    "Made by `tuckshop demo`, which removes the ledger in this folder when it starts again.\n"
)
# What a server leaves in its folder. Whatever else lies there was put there by somebody.
_OURS: Final = (
    *(MARKER_NAME, DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"),
    *("admin-token", "secret-key", "run.json"),
)


def make_anew(folder: Path) -> None:
    """
    An empty demo folder at *folder*: a new one, or an earlier demo's without its ledger.

    Raises:
        StoreError: It is somebody else's, a demo runs over it, or it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_demo(folder):
            if any(folder.iterdir()):
                raise StoreError(
                    f"{folder} is not a demo's folder, so nothing in it is touched: name another with --data"
                )
            (folder / SIGN_NAME).write_text(_SIGN, encoding="utf-8")
            return
    except OSError as error:
        raise StoreError(f"the demo's folder {folder} cannot be made: {error}") from error
    lock = FolderLock.take(folder / DATABASE_NAME)
    try:
        for name in _OURS:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"the earlier demo in {folder} cannot be removed: {error}") from error
    finally:
        lock.release()


def _is_demo(folder: Path) -> bool:
    try:
        found = os.lstat(folder / SIGN_NAME)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode)
