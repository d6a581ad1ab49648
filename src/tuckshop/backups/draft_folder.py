"""Files that are not finished lie in a folder of their own, so that no name ever has half of one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError
from tuckshop.storage.data_folder import sync_file

_PREFIX: Final = ".tuckshop-backup-"
_LOCK: Final = ".lock"


@contextmanager
def draft_folder(beside: Path) -> Iterator[Path]:
    """
    An empty folder in *beside*, for its owner only, gone at the end. Those that a crash left behind are gone too.

    Raises:
        OSError: *beside* cannot be written.
    """
    for left in beside.glob(f"{_PREFIX}*{_LOCK}"):
        _remove_if_left(left)
    # The lock is there before its folder and gone after it, so a folder without one is nobody's.
    lock, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_LOCK, dir=beside)
    path = Path(name)
    folder = _folder_of(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back by the system, however the process ends
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        path.unlink(missing_ok=True)
        os.close(lock)


def publish(draft: Path, target: Path) -> None:
    """
    Give *draft* its name, unless somebody took it meanwhile.

    Raises:
        StoreError: Somebody did.
        OSError: It cannot be written.
    """
    sync_file(draft)
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise _taken(target) from None
        draft.rename(target)
    sync_file(target.parent)


def _taken(target: Path) -> StoreError:
    return StoreError(f"{target} appeared meanwhile, and a backup replaces nothing")


def _folder_of(lock: Path) -> Path:
    return lock.with_name(lock.name.removesuffix(_LOCK))


def _remove_if_left(path: Path) -> None:
    try:
        lock = os.open(path, os.O_RDWR)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # of a backup that is being made
    else:
        shutil.rmtree(_folder_of(path), ignore_errors=True)
        path.unlink(missing_ok=True)
    finally:
        os.close(lock)
