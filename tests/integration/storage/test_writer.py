"""D1, M3: one thread writes, batches share a commit, and nobody is told anything before it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from tests.integration.storage.notes import (
    NOON_US,
    Fail,
    ManualClock,
    Note,
    Notes,
    Release,
    Wait,
    make_workspace,
    texts_in,
    writing,
)
from tuckshop.domain.errors import NotFoundError, ServerBusyError, StoreError
from tuckshop.storage import schema
from tuckshop.storage.batch import Answer, Submission
from tuckshop.storage.database import prepare
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer
from tuckshop.storage.writer_thread import WriterThread


def ask(writer: Writer, operation: object, *, kept: bool = False) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    writer.submit(operation, future=future, kept=kept)
    return future


async def held(writer: Writer) -> Callable[[], None]:
    """Keep the thread busy inside a transaction until the returned function is called."""
    inside, gate = threading.Event(), threading.Event()

    def work(_: Transaction) -> None:
        inside.set()
        assert gate.wait(10)

    task = asyncio.ensure_future(writer.transact(work))
    await asyncio.to_thread(inside.wait, 10)

    def let_go() -> None:
        gate.set()
        task.add_done_callback(lambda done: done.exception())

    return let_go


def test_what_is_answered_can_be_read_by_another_process(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):
            position = await ask(writer, Note("a"))

            assert position == 1
            assert texts_in(database.path) == ["a"]

    asyncio.run(main())


def test_results_come_only_after_the_commit_and_its_sync(tmp_path: Path) -> None:
    """M3. The trace is written by SQLite itself, on the writer's connection."""
    events: list[str] = []

    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, _):

            def trace(transaction: Transaction) -> None:
                driver = transaction.cursor.connection
                assert driver.execute("PRAGMA synchronous").fetchone() == (2,)
                driver.set_trace_callback(events.append)

            await writer.transact(trace)
            events.clear()
            for name in ("a", "b", "c"):
                future = ask(writer, Note(name))
                future.add_done_callback(lambda done: events.append(f"told {done.result()}"))
                await future

    asyncio.run(main())

    told = [at for at, event in enumerate(events) if event.startswith("told")]
    commits = [at for at, event in enumerate(events) if event == "COMMIT"]
    begins = [at for at, event in enumerate(events) if event == "BEGIN IMMEDIATE"]
    assert len(told) == 3
    for at, begin, commit in zip(told, begins, commits, strict=False):
        assert begin < commit < at


def test_what_arrives_during_a_commit_shares_the_next_one(tmp_path: Path) -> None:
    handler = Notes()

    async def main() -> None:
        async with writing(tmp_path, ManualClock(), handler) as (writer, _):
            let_go = await held(writer)
            futures = [ask(writer, Note(f"n{i}")) for i in range(50)]
            let_go()
            await asyncio.gather(*futures)

    asyncio.run(main())

    assert 50 in handler.batches


def test_positions_follow_the_order_of_submission(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, _):
            futures = [ask(writer, Note(f"n{i}")) for i in range(300)]

            positions = await asyncio.gather(*futures)

            assert positions == sorted(positions)
            assert len(set(positions)) == 300

    asyncio.run(main())


def test_positions_are_never_given_twice(tmp_path: Path) -> None:
    """Neither after a clean stop nor after one that left no time to say so."""

    async def once(name: str) -> int:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, _):
            return int(await ask(writer, Note(name)))

    async def crash(name: str) -> int:
        database = prepare(tmp_path)
        writer = Writer(database, ManualClock(), handler=Notes(), space_min_bytes=0)
        await writer.start()
        position = int(await ask(writer, Note(name)))
        _abandon(writer)
        database.close()
        return position

    first, second = asyncio.run(once("a")), asyncio.run(once("b"))
    third, fourth = asyncio.run(crash("c")), asyncio.run(once("d"))

    assert (first, second, third) == (1, 2, 3)
    assert fourth > third


def test_a_job_that_fails_leaves_no_trace_and_harms_no_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):

            def fail(transaction: Transaction) -> None:
                transaction.remember("half", "done")
                raise NotFoundError("group x")

            let_go = await held(writer)
            note = ask(writer, Note("a"))
            failing = asyncio.ensure_future(writer.transact(fail))
            fine = asyncio.ensure_future(writer.transact(lambda t: t.remember("whole", "done")))
            let_go()

            with pytest.raises(NotFoundError):
                await failing
            await asyncio.gather(note, fine)
            with database.reader() as connection:
                names = set(connection.execute(select(schema.settings.c.name)).scalars())
            assert "whole" in names
            assert "half" not in names

    asyncio.run(main())


def test_sqlalchemy_cannot_end_the_batch_that_others_are_part_of(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, database):

            def work(transaction: Transaction) -> None:
                row = {"name": "x", "value": "1"}
                transaction.connection.execute(insert(schema.settings), row)
                transaction.connection.commit()
                assert transaction.cursor.connection.in_transaction
                raise ValueError("after all")

            with pytest.raises(ValueError, match="after all"):
                await writer.transact(work)
            with database.reader() as connection:
                query = select(schema.settings).where(schema.settings.c.name == "x")
                assert connection.execute(query).all() == []

    asyncio.run(main())


def test_a_job_that_breaks_a_constraint_fails_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, _):
            await writer.transact(make_workspace)

            with pytest.raises(sqlite3.IntegrityError):
                await writer.transact(make_workspace)

            assert await writer.transact(lambda t: t.directory_version()) == 1
            assert writer.trouble is None

    asyncio.run(main())


def test_the_directory_version_moves_with_its_transaction(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, database):
            await writer.transact(make_workspace)

            def touch_and_fail(transaction: Transaction) -> None:
                assert transaction.touch_directory() == 3
                raise ValueError

            assert await writer.transact(lambda t: t.touch_directory()) == 2
            with pytest.raises(ValueError):  # noqa: PT011 - the job's own
                await writer.transact(touch_and_fail)
            assert await writer.transact(lambda t: t.directory_version()) == 2
            with database.reader() as connection:
                query = select(schema.workspaces.c.directory_version)
                assert connection.execute(query).scalar_one() == 2
            with pytest.raises(NotFoundError):
                await writer.transact(lambda t: t.directory_version("wsp_other"))

    asyncio.run(main())


def test_memory_that_a_job_changed_is_told_when_the_job_alone_fails(tmp_path: Path) -> None:
    undone: list[str] = []

    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, _):

            def work(transaction: Transaction) -> None:
                transaction.on_undo(lambda: undone.append("second"))
                transaction.on_undo(lambda: undone.append("first"))
                raise ValueError

            with pytest.raises(ValueError):  # noqa: PT011 - the job's own
                await writer.transact(work)
            await writer.transact(lambda t: t.on_undo(lambda: undone.append("never")))
            with pytest.raises(ValueError):  # noqa: PT011 - the job's own
                await writer.transact(work)

    asyncio.run(main())

    assert undone == ["first", "second"] * 2


def test_a_mistake_in_one_operation_is_its_own(tmp_path: Path) -> None:
    handler = Notes()

    async def main() -> None:
        async with writing(tmp_path, ManualClock(), handler) as (writer, database):
            let_go = await held(writer)
            first, bad, last = (ask(writer, op) for op in (Note("a"), Fail(), Note("b")))
            let_go()
            results = await asyncio.gather(first, bad, last, return_exceptions=True)

            assert isinstance(results[1], RuntimeError)
            assert texts_in(database.path) == ["a", "b"]
            assert handler.texts == ["a", "b"], "memory was put back"
            assert writer.trouble is None

    asyncio.run(main())


@pytest.fixture
def for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rides is not taken by itself, however long a test takes."""
    monkeypatch.setattr("tuckshop.storage.work_queue.RIDE_S", 3600.0)


def ride(writer: Writer, operation: object) -> None:
    writer.submit(operation, kept=True, may_ride=True)


def test_what_may_ride_shares_the_commit_of_what_comes_next(tmp_path: Path, for_ever: None) -> None:
    handler = Notes()

    async def main() -> None:
        async with writing(tmp_path, ManualClock(), handler) as (writer, _):
            for number in range(1, 4):
                handler.batches.clear()
                ride(writer, Note(f"rides {number}"))
                await asyncio.sleep(0)
                assert await ask(writer, Note(f"waited for {number}")) == 2 * number

                assert handler.batches == [2]
                assert handler.texts[-2:] == [f"rides {number}", f"waited for {number}"]

    asyncio.run(main())


def test_what_may_ride_is_written_before_a_flush_a_change_and_the_end(
    tmp_path: Path, for_ever: None
) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):
            ride(writer, Note("flushed"))
            await writer.flush()
            assert texts_in(database.path) == ["flushed"]

            ride(writer, Note("before a change"))
            found = await writer.transact(
                lambda t: t.cursor.execute("SELECT count(*) FROM prices").fetchone()
            )
            assert found == (2,)

            ride(writer, Note("at the end"))
        assert texts_in(database.path) == ["flushed", "before a change", "at the end"]

    asyncio.run(main())


def test_what_may_ride_comes_at_once_when_somebody_is_parked(
    tmp_path: Path, for_ever: None
) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, _):
            waiting = ask(writer, Wait("for room"))
            await writer.flush()

            ride(writer, Release())

            assert await asyncio.wait_for(waiting, 10) >= 1

    asyncio.run(main())


def test_what_may_ride_comes_at_once_when_somebody_is_parked_just_then(
    tmp_path: Path, for_ever: None
) -> None:
    """It was put while nobody was parked yet, and too late for the batch that parks somebody."""
    inside, gate = threading.Event(), threading.Event()

    class Slow(Notes):
        def apply(self, submissions: Sequence[Submission]) -> Iterable[Answer]:
            if any(isinstance(submission.operation, Wait) for submission in submissions):
                inside.set()
                assert gate.wait(10)
            return super().apply(submissions)

    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Slow()) as (writer, _):
            waiting = ask(writer, Wait("for room"))
            await asyncio.to_thread(inside.wait, 10)

            ride(writer, Release())
            gate.set()

            assert await asyncio.wait_for(waiting, 10) >= 1

    asyncio.run(main())


def test_what_is_parked_is_answered_when_it_can_be(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):
            waiting = ask(writer, Wait("later"))
            await writer.flush()
            assert not waiting.done()

            await ask(writer, Release())

            assert await waiting >= 1
            assert texts_in(database.path) == ["later"]

    asyncio.run(main())


def test_what_is_parked_is_woken_at_its_deadline(tmp_path: Path) -> None:
    clock = ManualClock()

    class Deadlines(Notes):
        def now_s(self) -> float:
            return clock.monotonic_s()

    async def main() -> None:
        async with writing(tmp_path, clock, Deadlines()) as (writer, _):
            waiting = ask(writer, Wait("late", until_s=clock.monotonic + 20))
            await writer.flush()
            clock.pass_s(19)
            writer.poke()
            await writer.flush()
            assert not waiting.done()

            clock.pass_s(1)
            writer.poke()

            with pytest.raises(TimeoutError):
                await waiting

    asyncio.run(main())


def test_a_caller_that_left_stops_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):
            let_go = await held(writer)
            gone, stays = ask(writer, Note("gone")), ask(writer, Note("stays"))
            job = asyncio.ensure_future(writer.transact(lambda t: t.remember("gone", "")))
            await asyncio.sleep(0)
            gone.cancel()
            job.cancel()
            let_go()
            await stays

            # A reservation whose caller left is still written: the ledger withdraws it. An admin change is not begun.
            assert texts_in(database.path) == ["gone", "stays"]
            assert await writer.transact(lambda t: t.setting("gone")) is None

    asyncio.run(main())


def test_two_loops_may_share_a_writer(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):

            def other() -> int:
                async def submit() -> int:
                    return int(await ask(writer, Note("other")))

                return asyncio.run(submit())

            results = await asyncio.gather(ask(writer, Note("own")), asyncio.to_thread(other))

            assert sorted(results) == [1, 2]
            assert sorted(texts_in(database.path)) == ["other", "own"]

    asyncio.run(main())


def test_the_queue_is_bounded_but_takes_what_settles(tmp_path: Path) -> None:
    """D7."""

    async def main() -> None:
        database = prepare(tmp_path)
        writer = Writer(database, ManualClock(), handler=Notes(), waiting_max=3, space_min_bytes=0)
        await writer.start()
        try:
            let_go = await held(writer)
            futures = [ask(writer, Note(f"n{i}")) for i in range(3)]
            with pytest.raises(ServerBusyError):
                ask(writer, Note("one too many"))
            with pytest.raises(ServerBusyError):
                await writer.transact(lambda t: t.now_us)
            settlement = ask(writer, Note("settles"), kept=True)
            let_go()
            await asyncio.gather(*futures, settlement)
        finally:
            await writer.close()
            database.close()

    asyncio.run(main())


def test_close_writes_what_was_handed_over_and_refuses_what_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):
            waiting = ask(writer, Wait("never"))
            await writer.flush()
            let_go = await held(writer)
            for i in range(20):
                writer.submit(Note(f"n{i}"), kept=True)
            closing = asyncio.ensure_future(writer.close())
            await asyncio.sleep(0)
            with pytest.raises(ServerBusyError, match="shutting down"):
                ask(writer, Note("late"))
            writer.submit(Note("last settlement"), kept=True)
            let_go()
            await closing

            with pytest.raises(ServerBusyError):
                await waiting
            assert texts_in(database.path) == [*(f"n{i}" for i in range(20)), "last settlement"]
            assert not database.path.with_name("tuckshop.db-wal").exists()

    asyncio.run(main())


def test_a_killed_writer_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """M4, as far as one process can show it: the log survives, and the next start checks the file."""

    async def crash() -> list[str]:
        database = prepare(tmp_path)
        writer = Writer(database, ManualClock(), handler=Notes(), space_min_bytes=0)
        await writer.start()
        await asyncio.gather(*(ask(writer, Note(f"n{i}")) for i in range(40)))
        _abandon(writer)
        database.close()
        return [f"n{i}" for i in range(40)]

    async def again() -> list[str]:
        handler = Notes()
        async with writing(tmp_path, ManualClock(), handler):
            return handler.texts

    assert asyncio.run(crash()) == asyncio.run(again())


def test_a_ledger_that_cannot_be_loaded_stops_the_start(tmp_path: Path) -> None:
    class Broken(Notes):
        def load(self, transaction: Transaction, unreported: object) -> None:
            raise ValueError("row 7 makes no sense")

    async def main() -> None:
        database = prepare(tmp_path)
        writer = Writer(database, ManualClock(), handler=Broken())
        with pytest.raises(StoreError, match="row 7"):
            await writer.start()
        await writer.close()
        database.close()

    asyncio.run(main())


def test_a_handler_that_loses_its_memory_ends_admission(tmp_path: Path) -> None:
    class Forgetful(Notes):
        def rolled_back(self) -> None:
            raise KeyError("before")

    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Forgetful()) as (writer, _):
            with pytest.raises(ServerBusyError):
                await ask(writer, Fail())

            assert writer.must_restart
            with pytest.raises(ServerBusyError):
                await writer.transact(lambda t: t.now_us)

    asyncio.run(main())


def test_readers_cannot_write_and_see_what_is_committed(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):
            await ask(writer, Note("a"))

            def read() -> list[str]:
                with database.reader() as connection:
                    with contextlib.suppress(sqlite3.OperationalError):
                        connection.connection.execute("DELETE FROM prices")
                        pytest.fail("a reader could write")
                    return list(connection.execute(select(schema.prices.c.id)).scalars())

            assert await asyncio.to_thread(read) == ["a"]

    asyncio.run(main())


def test_a_long_reader_cannot_keep_the_log_growing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuckshop.storage.writer_thread.LOG_PAGES_MAX", 2)
    monkeypatch.setattr("tuckshop.storage.writer_thread.CHECKPOINT_AFTER", 1)
    monkeypatch.setattr("tuckshop.storage.database.LONG_READ_S", -1.0)
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT count(*) FROM n, prices"
    )

    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):
            await ask(writer, Note("a"))

            def read() -> str:
                with database.reader() as connection:
                    try:
                        connection.exec_driver_sql(endless).all()
                    except Exception as error:  # noqa: BLE001 - its text is the result
                        return str(error)
                    return "ended"

            reading = asyncio.ensure_future(asyncio.to_thread(read))
            for i in range(200):
                await ask(writer, Note(f"n{i}"))
                if reading.done():
                    break

            assert "interrupted" in await reading
            log = database.path.with_name(f"{database.path.name}-wal")
            longest = log.stat().st_size
            for i in range(200):
                await ask(writer, Note(f"m{i}"))
            assert log.stat().st_size <= longest, (
                "without the reader it begins from its start again"
            )

    asyncio.run(main())


def test_checkpoints_move_the_log_into_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuckshop.storage.writer_thread.CHECKPOINT_AFTER", 10)

    async def main() -> None:
        async with writing(tmp_path, ManualClock(), Notes()) as (writer, database):
            for i in range(300):
                await ask(writer, Note(f"n{i}"))

            assert database.path.with_name("tuckshop.db-wal").stat().st_size < 1 << 20

    asyncio.run(main())


def test_the_time_of_a_transaction_is_the_guarded_clock(tmp_path: Path) -> None:
    clock = ManualClock()

    async def main() -> None:
        async with writing(tmp_path, clock) as (writer, _):
            assert await writer.transact(lambda t: t.now_us) == NOON_US
            clock.wall_us -= 60_000_000
            assert await writer.transact(lambda t: t.now_us) == NOON_US

    asyncio.run(main())


def test_awaiting_is_possible_from_any_coroutine(tmp_path: Path) -> None:
    """`transact` is an ordinary coroutine: a TaskGroup of them shares the writer."""

    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, _):

            def numbered(i: int) -> Awaitable[int]:
                return writer.transact(lambda t: t.next_position() * 0 + i)

            assert await asyncio.gather(*(numbered(i) for i in range(20))) == list(range(20))

    asyncio.run(main())


def _abandon(writer: Writer) -> None:
    """Let the thread end as a kill would: no last commit, no checkpoint."""
    inside: WriterThread = writer._inside
    inside._end = lambda: None  # type: ignore[method-assign]  # a killed process has no end
    writer._queue.put(_stop())
    assert writer._thread is not None
    writer._thread.join()


def _stop() -> Any:
    from tuckshop.storage.work import Call

    return Call(stop=True)
