"""A writer's connection that fails now and then, at each step of a transaction, with or without having done it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tuckshop.storage.database import Database
from tuckshop.storage.session import WriterSession

CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR_WRITE)


class Failures:
    """How often it fails: never, outside of `at`."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._rate = 0.0

    @contextmanager
    def at(self, rate: float) -> Iterator[None]:
        """With this probability at each step."""
        self._rate = rate
        yield
        self._rate = 0.0

    def maybe(self, *codes: int) -> None:
        """Fail with one of *codes*, or not."""
        if self._chance.random() < self._rate:
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorcode = self._chance.choice(codes)
            raise error


class _FlakySession(WriterSession):
    def __init__(self, failures: Failures, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._failures = failures

    def begin(self, now_us: int) -> None:
        self._failures.maybe(sqlite3.SQLITE_BUSY)
        super().begin(now_us)

    def commit(self) -> None:
        self._failures.maybe(*CODES)
        super().commit()
        try:
            self._failures.maybe(sqlite3.SQLITE_IOERR_WRITE)
        except sqlite3.OperationalError:
            self.transaction.save()  # as it stands before a commit that fails
            raise


def make_flaky(
    monkeypatch: pytest.MonkeyPatch, chance: random.Random, *, retry_s: float = 0.005
) -> Failures:
    """Every connection for writing that is opened from now on fails as *chance* has it."""
    failures = Failures(chance)
    monkeypatch.setattr("tuckshop.storage.writer_thread.RETRY_S", retry_s)
    monkeypatch.setattr(
        Database,
        "open_session",
        lambda self: _FlakySession(failures, self.path, self.durability),
    )
    return failures
