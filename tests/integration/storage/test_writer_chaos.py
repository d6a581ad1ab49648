"""D3, D4, M6 together: whatever fails and in whatever order, what was told is true and nothing that settles is lost."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.integration.storage.notes import Fail, JumpingClock, Note, Notes, texts_in, writing
from tests.support.flaky import Failures, make_flaky
from tuckshop.domain.errors import ServerBusyError
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer


async def _drive(folder: Path, chance: random.Random, failures: Failures) -> None:
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

    async with writing(folder, JumpingClock(), handler) as (writer, database):
        with failures.at(0.15):
            for number in range(60):
                submit(writer, number)
                if chance.random() < 0.3:
                    await asyncio.sleep(chance.uniform(0, 0.004))
                if chance.random() < 0.1:
                    waiting.append(asyncio.ensure_future(writer.transact(_remember_something)))
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
    chance = random.Random(seed)
    failures = make_flaky(monkeypatch, chance, retry_s=0.002)
    monkeypatch.setattr(
        "tuckshop.storage.database.is_safe_version", lambda: True
    )  # a warning per example says nothing

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_drive(Path(folder), chance, failures))
