"""D3, D4, M6 together: whatever fails and in whatever order, what was told is true and nothing that settles is lost."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.integration.storage.notes import Fail, JumpingClock, Note, Notes, texts_in, writing
from tuckshop.domain.errors import ServerBusyError
from tuckshop.storage.database import Database
from tuckshop.storage.session import WriterSession
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

CODES = [sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR_WRITE]


class _Flaky(WriterSession):
    """A connection that fails now and then, at each step of a transaction, with or without having done it."""

    chance = random.Random(0)
    rate = 0.0

    def begin(self, now_us: int) -> None:
        if self.chance.random() < self.rate:
            raise _error(sqlite3.SQLITE_BUSY)
        super().begin(now_us)

    def commit(self) -> None:
        if self.chance.random() < self.rate:
            raise _error(self.chance.choice(CODES))
        super().commit()
        if self.chance.random() < self.rate:
            self.transaction.save()  # as it stands before a commit that fails
            raise _error(sqlite3.SQLITE_IOERR_WRITE)


def _error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode = code
    return error


async def _drive(folder: Path, chance: random.Random) -> None:
    handler = Notes()
    told: set[str] = set()
    refused: set[str] = set()
    kept: set[str] = set()
    waiting: list[asyncio.Future[Any]] = []

    def watch(future: asyncio.Future[Any], text: str) -> None:
        waiting.append(future)

        def done(future: asyncio.Future[Any]) -> None:
            (told if future.exception() is None else refused).add(text)

        future.add_done_callback(done)

    def submit(writer: Writer, number: int) -> None:
        text, is_kept = f"n{number}", chance.random() < 0.4
        operation = Fail() if not is_kept and chance.random() < 0.1 else Note(text)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            writer.submit(operation, future=future, kept=is_kept)
        except ServerBusyError:
            assert not is_kept
            return
        if is_kept:
            kept.add(text)
        watch(future, text)

    _Flaky.chance, _Flaky.rate = chance, 0.0
    async with writing(folder, JumpingClock(), handler) as (writer, database):
        _Flaky.rate = 0.15
        for number in range(60):
            submit(writer, number)
            if chance.random() < 0.3:
                await asyncio.sleep(chance.uniform(0, 0.004))
            if chance.random() < 0.1:
                waiting.append(asyncio.ensure_future(writer.transact(_remember_something)))
        _Flaky.rate = 0.0
        await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
        await asyncio.wait_for(_flushed(writer), 20)

        written = texts_in(database.path)
        assert len(written) == len(set(written))
        assert told <= set(written), "told, but not there"
        assert kept <= told, "a settlement was lost"
        assert not refused & set(written), "refused, but there"
        assert handler.texts == written, "memory differs from the rows"
        assert writer.trouble is None


def _remember_something(transaction: Transaction) -> None:
    transaction.remember("job", str(transaction.next_position()))


async def _flushed(writer: Writer) -> None:
    while True:
        try:
            await writer.flush()
        except ServerBusyError:
            await asyncio.sleep(0.01)
        else:
            return


@given(seed=st.integers(min_value=0, max_value=1 << 32))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_told_is_true_whatever_fails(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    note(f"seed {seed}")
    monkeypatch.setattr("tuckshop.storage.writer_thread.RETRY_S", 0.002)
    monkeypatch.setattr(Database, "open_session", lambda self: _Flaky(self.path, self.durability))
    monkeypatch.setattr(
        "tuckshop.storage.database.is_safe_version", lambda: True
    )  # a warning per example says nothing

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_drive(Path(folder), random.Random(seed)))
