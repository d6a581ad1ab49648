"""D3, D4, D7, section 6: a full disk, a held database, a failing device, a clock that is not fit."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.storage.notes import (
    JumpingClock,
    ManualClock,
    Note,
    Notes,
    Wait,
    make_workspace,
    texts_in,
    writing,
)
from tuckshop.domain.errors import ServerBusyError
from tuckshop.storage.database import Database, prepare
from tuckshop.storage.session import WriterSession
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

BIG = "x" * 3000


def ask(writer: Writer, operation: object, *, kept: bool = False) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    writer.submit(operation, future=future, kept=kept)
    return future


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuckshop.storage.writer_thread.RETRY_S", 0.05)
    monkeypatch.setattr("tuckshop.storage.writer_thread.SPACE_CHECK_INTERVAL_S", 0.0)
    monkeypatch.setattr("tuckshop.storage.sqlite.BUSY_TIMEOUT_MS", 100)


@asynccontextmanager
async def lag_measured() -> AsyncIterator[list[float]]:
    """How late the loop was, at worst, while something went on."""
    worst = [0.0]

    async def watch() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            worst[0] = max(worst[0], time.monotonic() - before - 0.005)

    task = asyncio.ensure_future(watch())
    try:
        yield worst
    finally:
        task.cancel()


async def fill(writer: Writer) -> None:
    """Write until it is refused."""
    for i in range(500):
        try:
            await ask(writer, Note(f"{BIG}{i}"))
        except ServerBusyError:
            return
    raise AssertionError("nothing was refused")


async def until_fit(writer: Writer) -> None:
    for _ in range(200):
        if writer.trouble is None:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(writer.trouble)


def set_pages(count: int) -> Any:
    def work(transaction: Transaction) -> None:
        transaction.cursor.execute(f"PRAGMA max_page_count = {count}")

    return work


def driver_of(writer: Writer) -> sqlite3.Connection:
    session = writer._inside._session
    assert session is not None
    return session.driver


def test_a_full_disk_refuses_reservations_keeps_settlements_and_ends_by_itself(
    tmp_path: Path,
) -> None:
    """D3, with PRAGMA max_page_count."""
    handler = Notes()

    async def main() -> None:
        async with writing(tmp_path, JumpingClock(), handler) as (writer, database):
            await writer.transact(set_pages(100))
            parked = ask(writer, Wait("parked"))
            await fill(writer)
            written = texts_in(database.path)
            assert writer.trouble == "the server's disk is full"
            assert handler.texts == written, "memory is what the rows say"
            with pytest.raises(ServerBusyError):
                await parked
            settlement = ask(writer, Note(f"settles {BIG}"), kept=True)
            with pytest.raises(ServerBusyError):
                ask(writer, Note("refused"))
            with pytest.raises(ServerBusyError):
                await writer.transact(make_workspace)
            with pytest.raises(ServerBusyError):
                await writer.flush()
            await asyncio.sleep(0.2)
            assert not settlement.done(), "kept, not lost and not reported as done"

            driver_of(writer).execute("PRAGMA max_page_count = 100000")

            await settlement
            await until_fit(writer)
            await ask(writer, Note("goes on"))
            assert texts_in(database.path) == [*written, f"settles {BIG}", "goes on"]
            assert handler.texts == texts_in(database.path)

    asyncio.run(main())


def test_little_space_stops_reservations_but_not_settlements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D3: the low-water mark."""
    free = [1 << 30]
    monkeypatch.setattr(Database, "free_bytes", lambda _: free[0])

    async def main() -> None:
        database = prepare(tmp_path)
        writer = Writer(database, JumpingClock(), handler=Notes(), space_min_bytes=64 << 20)
        await writer.start()
        await ask(writer, Note("a"))
        parked = ask(writer, Wait("parked"))
        await writer.flush()

        free[0] = 63 << 20
        await ask(writer, Note("settles"), kept=True)
        with pytest.raises(ServerBusyError, match="nearly full"):
            ask(writer, Note("refused"))
        with pytest.raises(ServerBusyError):
            await parked
        free[0] = 70 << 20
        writer.poke()
        await writer.flush()
        assert writer.trouble is not None, "no flutter at the mark"
        free[0] = 1 << 30
        writer.poke()
        await writer.flush()

        await ask(writer, Note("b"))
        assert texts_in(database.path) == ["a", "settles", "b"]
        await writer.close()
        database.close()

    asyncio.run(main())


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    code = (
        "import sqlite3, sys\n"
        f"c = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield
        finally:
            other.stdin.close()


def test_a_database_held_by_another_process_is_a_bounded_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D7; the loop never waits for the database (D1)."""
    monkeypatch.setattr("tuckshop.storage.sqlite.BUSY_TIMEOUT_MS", 500)

    async def main() -> None:
        async with writing(tmp_path, JumpingClock(), Notes()) as (writer, database):
            await ask(writer, Note("a"))
            async with lag_measured() as lag:
                with held_by_another_process(database.path):
                    began = time.monotonic()
                    with pytest.raises(ServerBusyError, match="another process"):
                        await ask(writer, Note("refused"))
                    assert time.monotonic() - began < 3
                    settlement = ask(writer, Note("settles"), kept=True)
                    with pytest.raises(ServerBusyError):
                        ask(writer, Note("refused at once"))
                    await asyncio.sleep(0.8)
                    assert not settlement.done()

                await settlement
                await until_fit(writer)
            await ask(writer, Note("b"))

            assert texts_in(database.path) == ["a", "settles", "b"]
            assert lag[0] < 0.4, "the thread waits 0.5 s at a time; the loop does not wait with it"

    asyncio.run(main())


@contextmanager
def file_size_limited(size: int) -> Iterator[None]:
    """Writes beyond *size* fail with an error of the device (EFBIG; Python ignores the signal)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_error_of_the_device_latches_until_the_database_was_read_again(tmp_path: Path) -> None:
    """D4, with RLIMIT_FSIZE."""
    handler = Notes()

    async def main() -> None:
        async with writing(tmp_path, JumpingClock(), handler) as (writer, database):
            await ask(writer, Note("a"))
            log = database.path.with_name("tuckshop.db-wal")
            with file_size_limited(log.stat().st_size):
                await fill(writer)
                assert writer.trouble == "the server's disk failed"
                assert not writer.must_restart
                settlement = ask(writer, Note("settles"), kept=True)
                with pytest.raises(ServerBusyError):
                    await writer.transact(make_workspace)
                await asyncio.sleep(0.2)
                assert not settlement.done()
                written = texts_in(database.path)

            await until_fit(writer)
            await settlement
            assert len(handler.loads) >= 2, "memory was read afresh"
            assert texts_in(database.path) == [*written, "settles"]
            assert handler.texts == [*written, "settles"]

    asyncio.run(main())


class _LostReply(WriterSession):
    """A connection whose commit is written, but reported as an error of the device, once."""

    lose_next = False

    def commit(self) -> None:
        super().commit()
        if _LostReply.lose_next:
            _LostReply.lose_next = False
            self.transaction.save()  # as it stands before a commit that fails
            raise io_error(sqlite3.SQLITE_IOERR_WRITE)


def io_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


def test_what_was_written_but_reported_as_failed_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D4, M15: the handler is told what it was, since nobody knows whether a failed commit took."""
    monkeypatch.setattr(
        Database, "open_session", lambda self: _LostReply(self.path, self.durability)
    )
    handler = Notes()

    async def main() -> None:
        async with writing(tmp_path, JumpingClock(), handler) as (writer, database):
            await ask(writer, Note("a"))

            _LostReply.lose_next = True
            with pytest.raises(ServerBusyError):
                await ask(writer, Note("refused"))
            await until_fit(writer)

            assert handler.loads[-1] == [Note("refused")]
            assert texts_in(database.path) == ["a"]
            assert handler.texts == ["a"]

    asyncio.run(main())


def test_a_settlement_whose_commit_took_unseen_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M6: it is tried again, and finds itself done."""
    monkeypatch.setattr(
        Database, "open_session", lambda self: _LostReply(self.path, self.durability)
    )

    async def main() -> None:
        async with writing(tmp_path, JumpingClock(), Notes()) as (writer, database):
            await ask(writer, Note("a"))

            _LostReply.lose_next = True
            await ask(writer, Note("settles"), kept=True)

            assert texts_in(database.path) == ["a", "settles"]

    asyncio.run(main())


def test_a_failed_sync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D4: a later sync that succeeds proves nothing about the pages of the one that failed."""
    failing = [False]

    class _FailedSync(WriterSession):
        def commit(self) -> None:
            if failing[0]:
                raise io_error(sqlite3.SQLITE_IOERR_FSYNC)
            super().commit()

    monkeypatch.setattr(
        Database, "open_session", lambda self: _FailedSync(self.path, self.durability)
    )
    handler = Notes()

    async def main() -> None:
        database = prepare(tmp_path)
        writer = Writer(database, JumpingClock(), handler=handler, space_min_bytes=0)
        await writer.start()
        await ask(writer, Note("a"))

        failing[0] = True
        with pytest.raises(ServerBusyError):
            await ask(writer, Note("b"))
        failing[0] = False
        settlement = ask(writer, Note("settles"), kept=True)
        await asyncio.sleep(0.3)

        assert writer.must_restart
        assert not settlement.done(), "never reported as done"
        assert len(handler.loads) == 1, "not reopened"
        monkeypatch.setattr("tuckshop.storage.writer_thread.CLOSE_TIMEOUT_S", 0.1)
        await writer.close()
        with pytest.raises(ServerBusyError):
            await settlement
        database.close()

    asyncio.run(main())

    async def again() -> None:
        async with writing(tmp_path, JumpingClock(), Notes()) as (writer, _):
            assert await ask(writer, Note("c")) >= 1

    asyncio.run(again())


def test_a_clock_that_is_not_fit_stops_reservations_only(tmp_path: Path) -> None:
    """Section 6: backwards by more than two minutes is 503 until the mark is passed."""
    clock = ManualClock()

    async def main() -> None:
        async with writing(tmp_path, clock, Notes()) as (writer, database):
            await ask(writer, Note("a"))
            clock.wall_us -= 600_000_000
            writer.poke()
            settlement = ask(writer, Note("settles"), kept=True)
            await settlement
            assert writer.trouble == "the server's clock is not fit"
            with pytest.raises(ServerBusyError):
                ask(writer, Note("refused"))
            await writer.transact(make_workspace)

            clock.pass_s(601)
            writer.poke()
            await writer.flush()

            await ask(writer, Note("b"))
            assert texts_in(database.path) == ["a", "settles", "b"]

    asyncio.run(main())


def test_the_high_water_mark_outlives_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()

    async def once() -> str | None:
        async with writing(tmp_path, clock, Notes()) as (writer, _):
            await writer.flush()
            await writer.transact(lambda t: t.now_us)
            return writer.trouble

    assert asyncio.run(once()) is None
    clock.wall_us -= 3_600_000_000
    assert asyncio.run(once()) == "the server's clock is not fit"


def test_the_mark_is_kept_about_once_a_minute(tmp_path: Path) -> None:
    clock = ManualClock()

    def stored(transaction: Transaction) -> int:
        return int(transaction.setting("clock_high_water") or 0)

    async def main() -> None:
        async with writing(tmp_path, clock, Notes()) as (writer, _):
            first = await writer.transact(stored)
            clock.pass_s(30)
            await ask(writer, Note("a"))
            assert await writer.transact(stored) == first
            clock.pass_s(31)
            await ask(writer, Note("b"))
            assert await writer.transact(stored) == first + 61_000_000

    asyncio.run(main())


def test_a_row_later_than_the_mark_counts_as_the_mark(tmp_path: Path) -> None:
    """A crash may lose up to a minute of the mark, but not what the rows say."""
    clock = ManualClock()

    async def main() -> int:
        async with writing(tmp_path, clock, Notes()) as (writer, _):
            return await writer.transact(lambda t: t.now_us)

    async def leave_row() -> None:
        async with writing(tmp_path, clock, Notes()) as (writer, _):

            def work(transaction: Transaction) -> None:
                make_workspace(transaction)
                transaction.cursor.execute(
                    "INSERT INTO requests (workspace_id, id, position, admitted_at, owner, state,"
                    " group_id, member_id, key_id, endpoint, endpoint_group, model, upstream,"
                    " held_cost, held_input_tokens, held_output_tokens)"
                    " VALUES ('wsp_default', 'r', 1, ?, '', 'settled', '', '', '', '', '', '', '', 0, 0, 0)",
                    (transaction.now_us + 50_000_000,),
                )

            await writer.transact(work)

    asyncio.run(leave_row())

    assert asyncio.run(main()) == clock.wall_us + 50_000_000
