"""What can keep the writer from admitting, and which error of the driver means which."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from sqlalchemy import exc

from tuckshop.domain.errors import ServerBusyError
from tuckshop.storage.sqlite import DamagedError

WAIT_S: Final = (4.0, 8.0)
LATCH_WAIT_S: Final = (45.0, 60.0)  # some clients do not believe in more than a minute


class Trouble(IntEnum):
    """Kinds of trouble, the worse the higher."""

    CLOCK = 1  # not fit: only reservations stop
    SPACE = 2  # little left: only reservations stop, so that settlements still fit
    LOCKED = 3  # another process holds the database
    FULL = 4  # the last write did not fit
    DEVICE = 5  # an error of the device: latched until the database was reopened and read again
    FINAL = 6  # a sync failed or the file is damaged: latched until the server is restarted

    @property
    def stops_admin(self) -> bool:
        """Nothing can be written at all, except by trying again what is kept."""
        return self >= Trouble.LOCKED

    @property
    def is_latch(self) -> bool:
        """What the connection says is no longer believed (D4)."""
        return self >= Trouble.DEVICE


def refusal(trouble: Trouble) -> ServerBusyError:
    """
    What those are told who must be refused: nothing of the machine's own business.

    Each is asked to wait for another while, so that they do not all come back at once (D7).
    """
    least_s, most_s = LATCH_WAIT_S if trouble.is_latch else WAIT_S
    wait_s = least_s + (most_s - least_s) * secrets.randbelow(1_001) / 1_000
    return ServerBusyError(_TOLD[trouble], retry_after_s=wait_s)


def trouble_of(error: BaseException) -> Trouble | None:
    """Which trouble *error* stands for; None: it is none of the machine's, but a mistake in the SQL or the data."""
    if isinstance(error, DamagedError):
        return Trouble.FINAL
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        error = error.orig
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or code is None:
        return None
    if code in _FINAL_CODES:
        return Trouble.FINAL
    return _TROUBLES.get(code & 0xFF)


_TOLD: Final[Mapping[Trouble, str]] = {
    Trouble.CLOCK: "the server's clock is not fit",
    Trouble.SPACE: "the server's disk is nearly full",
    Trouble.LOCKED: "the server's database is held by another process",
    Trouble.FULL: "the server's disk is full",
    Trouble.DEVICE: "the server's disk failed",
    Trouble.FINAL: "the server's ledger is not usable",
}
_FINAL_CODES: Final = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
_TROUBLES: Final[Mapping[int, Trouble]] = {
    sqlite3.SQLITE_BUSY: Trouble.LOCKED,
    sqlite3.SQLITE_LOCKED: Trouble.LOCKED,
    sqlite3.SQLITE_PROTOCOL: Trouble.LOCKED,
    sqlite3.SQLITE_FULL: Trouble.FULL,
    sqlite3.SQLITE_IOERR: Trouble.DEVICE,
    sqlite3.SQLITE_CANTOPEN: Trouble.DEVICE,
    sqlite3.SQLITE_READONLY: Trouble.DEVICE,
    sqlite3.SQLITE_NOMEM: Trouble.DEVICE,
    sqlite3.SQLITE_CORRUPT: Trouble.FINAL,
    sqlite3.SQLITE_NOTADB: Trouble.FINAL,
}
