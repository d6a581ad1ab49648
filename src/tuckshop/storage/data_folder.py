"""The folder that holds the ledger: who may use it, and which ledger belongs in it."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError

MARKER_NAME: Final = "tuckshop.json"
LOCK_NAME: Final = "tuckshop.lock"
_NETWORK_FILE_SYSTEMS: Final = (
    "nfs", "cifs", "smb", "afs", "ncp", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.glusterfs"
)  # fmt: skip


def make_folder(folder: Path) -> None:
    """
    Make *folder*, for its owner only, where there is none.

    Raises:
        StoreError: It cannot be made, or is not a folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the data folder {folder} cannot be made: {error}") from error


def refuse_network_file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
    """
    Network file systems lie about locks and syncs (D1).

    Raises:
        StoreError: *folder* lies on one. Where the system has no list of mounts, nothing is checked.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    path = folder.resolve()
    best, kind = Path("/"), ""
    for fields in (line.split(" ") for line in lines):
        if len(fields) < 3:
            continue
        # A blank in a path stands as \040.
        point = Path(fields[1].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, fields[2]
    if kind.startswith(_NETWORK_FILE_SYSTEMS):
        raise StoreError(
            f"the data folder {folder} lies on a network file system ({kind}), where a database is not safe:"
            " choose a folder on a local disk"
        )


class FolderLock:
    """The right to write one ledger, held as long as the process lives (the system gives it back)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, database: Path) -> FolderLock:
        """
        Lock the folder of *database*.

        Raises:
            StoreError: Another process has it, or the folder cannot be written.
        """
        path = database.with_name(LOCK_NAME)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(
                f"the data folder {path.parent} cannot be written: {error.strerror}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreError(
                f"the data folder {path.parent} is in use by another tuckshop, process {owner}"
            ) from error
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(descriptor)
            raise StoreError(
                f"the data folder {path.parent} cannot be written: {error.strerror}"
            ) from error
        return cls(descriptor)

    def release(self) -> None:
        """Let another process have it. The file stays: removing it would let two hold the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@dataclass(frozen=True, slots=True)
class Marker:
    """The file beside a ledger that says that there is one, and which."""

    path: Path
    epoch: str


def read_marker(database: Path) -> Marker | None:
    """
    The marker beside *database*; None: there is none.

    Raises:
        StoreError: It cannot be read, so nobody knows which ledger belongs here.
    """
    path = database.with_name(MARKER_NAME)
    try:
        content = json.loads(path.read_bytes())
        return Marker(path, str(content["epoch"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} cannot be read ({error}): restore it from a backup") from error


def write_marker(database: Path, epoch: str) -> None:
    """Write it so that it is there whole or not at all."""
    path = database.with_name(MARKER_NAME)
    draft = path.with_name(f"{MARKER_NAME}.new")
    content = json.dumps({"ledger": database.name, "epoch": epoch}, indent=2) + "\n"
    draft.write_text(content, encoding="utf-8")
    draft.chmod(0o600)
    sync_file(draft)
    draft.rename(path)
    sync_file(path.parent)


def sync_file(path: Path) -> None:
    """Have the system write *path* (a file or a folder) to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
