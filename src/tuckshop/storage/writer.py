"""
The one thread that writes: group commit, checkpoints, and what happens when the disk will not.

Whatever arrived while the last commit was on its way goes into the next transaction, so the price of durability is
shared. Results leave the thread only after their commit (M3), with one call into the event loop per batch.

What can go wrong, and what is done:

- disk full, or little space left (D3): the batch is rolled back, reservations are refused, settlements are kept and
  tried again; when they fit, everything goes on by itself;
- another process holds the database: the same;
- an error of the device (D4): nothing more is admitted or reported as done. The connection is thrown away, the
  database opened anew and checked, and memory read from it. A failed sync is final: whatever the disk says later
  proves nothing, so the server has to be restarted;
- the clock is not fit (section 6): reservations are refused, everything else goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ServerBusyError, StoreError
from tuckshop.storage.batch import BatchHandler, Submission
from tuckshop.storage.clock_guard import ClockGuard
from tuckshop.storage.database import Database
from tuckshop.storage.session import WriterSession
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.trouble import Trouble, refusal, trouble_of

T = TypeVar("T")
_log: Final = logging.getLogger(__name__)

WAITING_MAX: Final = 10_000
BATCH_MAX: Final = 1_000
ADMIN_JOBS_MAX: Final = 4  # in one batch: each may write up to 200 rows, and calls wait for them
RETRY_S: Final = 1.0
IDLE_S: Final = 1.0
CLOSE_TIMEOUT_S: Final = 10.0  # how long kept work is tried again at a stop
MARK_INTERVAL_S: Final = 60.0
CHECKPOINT_AFTER: Final = 2_000  # submissions
SPACE_CHECK_INTERVAL_S: Final = 1.0
SPACE_MIN_BYTES: Final = 64 << 20  # below it nothing new is admitted
LOG_PAGES_MAX: Final = 16_384  # 64 MiB


@dataclass(slots=True, eq=False)
class _AdminJob(Generic[T]):
    work: Callable[[Transaction], T]
    future: asyncio.Future[T]


@dataclass(slots=True, eq=False)
class _Marker:
    """A place in the queue: answered when all before it is committed."""

    future: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _Call:
    """Wake up; `stop`: for the last time."""

    stop: bool


_Work = Submission | _AdminJob[Any] | _Marker


class Writer:
    """Queue of everything that is to be written. Every method may be called from any thread that runs a loop."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        handler: BatchHandler | None = None,
        waiting_max: int = WAITING_MAX,
        space_min_bytes: int = SPACE_MIN_BYTES,
    ) -> None:
        self._database = database
        self._clock = clock
        self._handler = handler
        self._waiting_max = waiting_max
        self._space_min_bytes = space_min_bytes
        self._queue: queue.SimpleQueue[_Work | _Call] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._troubles: dict[Trouble, str] = {}
        self._trouble: Trouble | None = None  # the worst of them: what callers look at
        self._closing = False
        self._closed = False
        self._guard = ClockGuard(clock)
        # From here on: the thread's own.
        self._session: WriterSession | None = None  # None: no connection can be had at present
        self._again: deque[_Work] = deque()  # kept work of batches that were rolled back
        self._unreported: list[Submission] = []
        self._stopping = False
        self._since_checkpoint = 0
        self._marked_at_s = float("-inf")
        self._space_checked_at_s = float("-inf")
        self._retry_at_s = float("-inf")
        self._stopped_at_s = float("-inf")
        self._current: list[_Work] = []

    # ── for callers ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def trouble(self) -> str | None:
        """Why reservations are refused at present; None: all is well. For readiness and refusals."""
        if self._closing:
            return "shutting down"
        trouble = self._trouble
        return None if trouble is None else self._troubles.get(trouble, "trouble")

    @property
    def waiting(self) -> int:
        """How many submissions the thread has not taken yet."""
        return self._queue.qsize()

    async def start(self) -> None:
        """
        Start the thread and let the handler load.

        Raises:
            StoreError: The database cannot be written, or what it holds cannot be loaded.
        """
        assert self._thread is None, "a writer starts once"
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name="tuckshop-writer", daemon=True
        )
        self._thread.start()
        try:
            await ready
        except BaseException:
            self._closing = self._closed = True
            self._queue.put(_Call(stop=True))
            raise

    async def close(self) -> None:
        """Write everything that was handed over, refuse what still waits to be admitted, stop cleanly."""
        if self._thread is None:
            return
        if not self._closing:
            self._closing = True
            self._queue.put(_Call(stop=True))
        await asyncio.to_thread(self._thread.join)
        self._closed = True
        self._refuse_leftovers()

    def submit(
        self, operation: object, *, future: asyncio.Future[Any] | None = None, kept: bool = False
    ) -> Submission:
        """
        Hand a ledger operation over and return at once.

        Args:
            future: Gets the answer after the commit that holds it, on the future's own loop.
            kept: It settles or gives back, so it is taken even when nothing is admitted, and tried until written.
        Raises:
            ServerBusyError: Not `kept`, and nothing can be admitted now or too many wait.
        """
        assert self._handler is not None, "this writer has no ledger"
        if self._closed:
            raise ServerBusyError("shutting down")
        if not kept:
            self._check_room(self._trouble)
        submission = Submission(operation, future, kept)
        self._queue.put(submission)
        return submission

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """
        Run *work* on the writer's thread, in the transaction of the next batch, under a savepoint of its own.

        Returns:
            What *work* returned, after the commit.
        Raises:
            Whatever *work* raised; then nothing of it was written. *work* may be run twice, when the batch that it
            was in had to be rolled back for another's sake.
            ServerBusyError: It cannot be written now.
        """
        trouble = self._trouble
        self._check_room(trouble if trouble is not None and trouble.stops_admin else None)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_AdminJob(work, future))
        return await future

    async def flush(self) -> None:
        """Wait until everything handed over before is committed."""
        if self._closed:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(_Marker(future))
        await future

    def poke(self) -> None:
        """Look at the clock and at `wake_at_s` now. For tests that move the clock."""
        self._queue.put(_Call(stop=False))

    def _check_room(self, trouble: Trouble | None) -> None:
        if self._closing:
            raise ServerBusyError("shutting down")
        if trouble is not None:
            raise refusal(trouble)
        if self._queue.qsize() >= self._waiting_max:
            raise ServerBusyError("too many requests are waiting", retry_after_s=1)

    def _refuse_leftovers(self) -> None:
        # What came in between the last look at the queue and the end of the thread.
        lost: list[_Work] = [*self._again]
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if not isinstance(item, _Call):
                lost.append(item)
        self._again.clear()
        kept = sum(isinstance(item, Submission) and item.kept for item in lost)
        if kept:
            _log.error(
                "%d settlements could not be written; their reservations are charged at their bound at the next start",
                kept,
            )
        _deliver([(item, ServerBusyError("shutting down")) for item in lost])

    # ── the thread ────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self, ready: asyncio.Future[None]) -> None:
        try:
            self._open(())
        except Exception as error:  # noqa: BLE001 - goes to whoever called start()
            self._drop_session()
            failure = StoreError(f"the ledger cannot be loaded: {error}")
            failure.__cause__ = error
            _deliver([(_Marker(ready), failure)])
            return
        _deliver([(_Marker(ready), None)])
        while not (self._stopping and (self._is_drained() or self._is_overdue())):
            try:
                self._step()
            except Exception:  # noqa: BLE001 - the thread's edge: those who wait must be told
                # A mistake of ours where no submission can be blamed, so memory is not to be trusted.
                _log.exception("ALARM: the ledger's writer failed")
                self._enter(Trouble.FINAL, "the writer failed")
                self._again.extend(self._refuse(self._current, Trouble.FINAL))
        self._end()

    def _open(self, unreported: Sequence[Submission]) -> None:
        session = self._session = self._database.open_session()
        transaction = session.transaction
        session.begin(0)
        self._guard = ClockGuard(
            self._clock, max(self._guard.mark_us, self._database.clock_mark_us(transaction))
        )
        self._guard.zones = self._database.zones(transaction)
        transaction.now_us = self._read_clock()
        if self._handler is not None:
            self._handler.load(transaction, unreported)
        transaction.remember("clean_stop", "0")
        self._remember_mark(transaction)
        session.commit()

    def _is_drained(self) -> bool:
        return not self._again and self._queue.empty()

    def _is_overdue(self) -> bool:
        return self._clock.monotonic_s() - self._stopped_at_s > CLOSE_TIMEOUT_S

    def _step(self) -> None:
        batch = self._current = self._gather()
        self._check_space()
        now_us = self._read_clock()
        if self._trouble is not None:
            batch = self._current = self._refuse(batch, self._trouble)
            if self._trouble.stops_admin and not self._is_time_to_retry():
                self._again.extend(batch)
                return
            if self._trouble.is_latch:
                self._again.extend(batch)
                self._try_to_reopen()
                return
        if batch and all(isinstance(item, _Marker) for item in batch):
            _deliver([(item, None) for item in batch])
        elif batch or self._is_awaited() or self._is_write_due():
            self._commit(batch, now_us)
        elif self._since_checkpoint:
            self._checkpoint()

    def _gather(self) -> list[_Work]:
        """What the next transaction is made of; empty when it is only time for something."""
        batch: list[_Work] = []
        admin_jobs = 0
        pause_s = self._pause_s()
        if pause_s > 0:
            with contextlib.suppress(queue.Empty):
                admin_jobs += self._take(self._queue.get(timeout=pause_s), batch)
        while len(batch) < BATCH_MAX and admin_jobs < ADMIN_JOBS_MAX:
            try:
                admin_jobs += self._take(self._queue.get_nowait(), batch)
            except queue.Empty:
                break
        if self._again:
            batch[:0] = self._again
            self._again.clear()
        return batch

    def _take(self, item: _Work | _Call, batch: list[_Work]) -> int:
        if isinstance(item, _Call):
            if item.stop and not self._stopping:
                self._stopping = True
                self._stopped_at_s = self._clock.monotonic_s()
            return 0
        batch.append(item)
        return isinstance(item, _AdminJob)

    def _pause_s(self) -> float:
        now_s = self._clock.monotonic_s()
        if self._trouble is not None and self._trouble.stops_admin:
            return min(RETRY_S, max(0.01, self._retry_at_s - now_s))
        if self._stopping or self._again:
            return 0
        pause_s = IDLE_S if self._trouble is not None or self._since_checkpoint else MARK_INTERVAL_S
        wake_at_s = self._handler.wake_at_s() if self._handler is not None else None
        return pause_s if wake_at_s is None else min(pause_s, wake_at_s - now_s)

    def _is_awaited(self) -> bool:
        wake_at_s = self._handler.wake_at_s() if self._handler is not None else None
        return wake_at_s is not None and wake_at_s <= self._clock.monotonic_s()

    def _is_write_due(self) -> bool:
        """Whether to write though nothing was submitted: the clock's mark, or to see whether a trouble is over."""
        if self._trouble is not None and self._trouble.stops_admin:
            return True
        return self._clock.monotonic_s() - self._marked_at_s >= MARK_INTERVAL_S

    # ── a batch ───────────────────────────────────────────────────────────────────────────────────────────────

    def _commit(self, batch: list[_Work], now_us: int) -> None:
        try:
            answers = self._write(batch, now_us)
        except Exception as error:  # noqa: BLE001 - sorted out below: the machine's trouble, or one submission's
            trouble = trouble_of(error)
            if trouble is not None:
                self._hit(trouble, error, batch)
            elif len(batch) > 1:
                for item in batch:
                    self._commit_alone(item, now_us)
            else:
                self._blame(batch, error)
            return
        self._deliver_committed(answers, len(batch))

    def _commit_alone(self, item: _Work, now_us: int) -> None:
        """One of a batch that failed for a reason that one of them must carry."""
        if self._trouble is not None and self._trouble.stops_admin:
            self._again.extend(self._refuse([item], self._trouble))
        else:
            self._commit([item], now_us)

    def _blame(self, batch: list[_Work], error: Exception) -> None:
        _log.error("a submission to the ledger failed", exc_info=error)
        if batch:
            if isinstance(batch[0], Submission) and batch[0].kept:
                _log.error("ALARM: a settlement cannot be written: %r", batch[0].operation)
            _deliver([(batch[0], error)])
        elif self._handler is not None:  # what failed was parked
            _deliver([(parked, error) for parked in self._handler.abandon()])

    def _write(self, batch: list[_Work], now_us: int) -> list[tuple[_Work, object]]:
        session, handler = self._session, self._handler
        assert session is not None
        session.begin(now_us)
        answers: list[tuple[_Work, object]] = []
        begun = False
        try:
            if handler is not None:
                begun = True
                handler.begin(session.transaction)
            run: list[Submission] = []
            for item in batch:
                if isinstance(item, Submission):
                    run.append(item)
                    continue
                if run and handler is not None:
                    answers += handler.apply(run)
                    run = []
                if isinstance(item, _Marker):
                    answers.append((item, None))
                elif not item.future.done():
                    answers.append((item, self._work_on(item, session)))
            if handler is not None:
                if run or not batch:
                    answers += handler.apply(run)
                answers += handler.finish()
            if self._clock.monotonic_s() - self._marked_at_s >= MARK_INTERVAL_S or (
                self._trouble is not None and self._trouble.stops_admin
            ):
                self._remember_mark(session.transaction)
            session.commit()
        except BaseException:
            session.roll_back()
            if begun and handler is not None:
                handler.rolled_back()
            raise
        if handler is not None:
            handler.committed()
        if session.transaction.touched:
            self._guard.zones = self._database.zones(session.transaction)
        return answers

    def _work_on(self, job: _AdminJob[Any], session: WriterSession) -> object:
        session.savepoint()
        try:
            value = job.work(session.transaction)
        except Exception as error:
            if trouble_of(error) is not None or not session.driver.in_transaction:
                raise  # not this job's fault: the whole batch cannot be written
            session.roll_back_to_savepoint()
            return error
        session.release()
        return _Value(value)

    def _deliver_committed(self, answers: list[tuple[_Work, object]], count: int) -> None:
        for trouble in (Trouble.LOCKED, Trouble.FULL):
            self._leave(trouble)
        _deliver(answers)
        self._since_checkpoint += count or 1
        if self._since_checkpoint >= CHECKPOINT_AFTER:
            self._checkpoint()

    def _checkpoint(self) -> None:
        assert self._session is not None
        self._since_checkpoint = 0
        try:
            left = self._session.checkpoint()
        except sqlite3.Error as error:
            trouble = trouble_of(error)
            if trouble is None:
                raise
            if trouble is not Trouble.LOCKED:
                self._hit(trouble, error, [])
            return
        if left > LOG_PAGES_MAX:
            _log.warning("a long reader keeps %d pages in the ledger's log", left)
            self._database.interrupt_long_readers()

    def _remember_mark(self, transaction: Transaction) -> None:
        transaction.remember("clock_high_water", str(self._guard.mark_us))
        self._marked_at_s = self._clock.monotonic_s()

    # ── trouble ───────────────────────────────────────────────────────────────────────────────────────────────

    def _enter(self, trouble: Trouble, reason: str) -> None:
        if trouble not in self._troubles:
            _log.log(
                logging.CRITICAL if trouble.is_latch else logging.ERROR,
                "ALARM: nothing is admitted: %s",
                reason,
            )
        self._troubles = {**self._troubles, trouble: reason}
        self._trouble = max(self._troubles)

    def _leave(self, trouble: Trouble) -> None:
        if trouble in self._troubles:
            _log.warning("over: %s", self._troubles[trouble])
            self._troubles = {t: reason for t, reason in self._troubles.items() if t != trouble}
            self._trouble = max(self._troubles, default=None)

    def _hit(self, trouble: Trouble, error: BaseException, batch: list[_Work]) -> None:
        self._enter(trouble, f"{refusal(trouble).reason}: {error}")
        self._marked_at_s = float("-inf")  # the mark may not have been written
        self._retry_at_s = self._clock.monotonic_s() + RETRY_S
        if trouble.is_latch:
            self._unreported += [item for item in batch if isinstance(item, Submission)]
        self._again.extend(self._refuse(batch, trouble))

    def _is_time_to_retry(self) -> bool:
        return self._clock.monotonic_s() >= self._retry_at_s

    def _refuse(self, batch: list[_Work], trouble: Trouble) -> list[_Work]:
        """Refuse what *trouble* does not let through, parked reservations included; the rest is handed back."""
        kept: list[_Work] = []
        refused: list[_Work] = []
        for item in batch:
            if isinstance(item, _AdminJob):
                (refused if trouble.stops_admin else kept).append(item)
            elif isinstance(item, Submission):
                (kept if item.kept else refused).append(item)
            else:
                (refused if trouble is Trouble.FINAL else kept).append(item)
        if self._handler is not None:
            refused.extend(self._handler.abandon())
        _deliver([(item, refusal(trouble)) for item in refused])
        return kept

    def _try_to_reopen(self) -> None:
        """After an error of the device: a new connection, a check, and memory read from what is there (D4)."""
        self._retry_at_s = self._clock.monotonic_s() + RETRY_S
        if self._trouble is Trouble.FINAL:
            return
        self._drop_session()
        try:
            self._database.check()
            self._open(self._unreported)
        except Exception as error:  # noqa: BLE001 - stays latched, is tried again
            self._drop_session()
            _log.error("the ledger cannot be reopened yet: %s", error)
            if trouble_of(error) is Trouble.FINAL:
                self._enter(Trouble.FINAL, f"{refusal(Trouble.FINAL).reason}: {error}")
            return
        self._unreported = []
        for trouble in (Trouble.DEVICE, Trouble.FULL, Trouble.LOCKED):
            self._leave(trouble)

    def _check_space(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._space_checked_at_s < SPACE_CHECK_INTERVAL_S:
            return
        self._space_checked_at_s = now_s
        free = self._database.free_bytes()
        if free < self._space_min_bytes:
            self._enter(Trouble.SPACE, f"{refusal(Trouble.SPACE).reason}: {free >> 20} MiB left")
        elif free > self._space_min_bytes * 5 // 4:  # no flutter at the mark
            self._leave(Trouble.SPACE)

    def _read_clock(self) -> int:
        reading = self._guard.read()
        if reading.event is not None:
            _log.warning("clock: %s", reading.event)
        if reading.unfit is not None:
            self._enter(Trouble.CLOCK, reading.unfit)
        else:
            self._leave(Trouble.CLOCK)
        return reading.now_us

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _end(self) -> None:
        if self._handler is not None:
            _deliver([(item, ServerBusyError("shutting down")) for item in self._handler.abandon()])
        session = self._session
        latched = self._trouble is not None and self._trouble.is_latch
        if session is not None and not latched and not self._again:
            try:
                session.begin(self._read_clock())
                self._remember_mark(session.transaction)
                session.transaction.remember_positions()
                session.transaction.remember("clean_stop", "1")
                session.commit()
                session.checkpoint(truncate=True)
            except sqlite3.Error:
                session.roll_back()
                _log.exception("the ledger was not closed cleanly; the next start checks it")
        self._drop_session()


@dataclass(frozen=True, slots=True)
class _Value:
    """What an admin job returned, told apart from what it raised (a job may return an exception)."""

    value: object


def _deliver(answers: Sequence[tuple[_Work, object]]) -> None:
    """Hand results to those who wait: one call into each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for item, result in answers:
        if item.future is not None:
            by_loop.setdefault(item.future.get_loop(), []).append((item.future, result))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_set_results, pairs)
        except RuntimeError:  # the loop is closed, so nobody waits any more
            _log.debug("%d results came too late for their loop", len(pairs))


def _set_results(pairs: list[tuple[asyncio.Future[Any], object]]) -> None:
    for future, result in pairs:
        if future.done():  # cancelled
            continue
        if isinstance(result, _Value):
            future.set_result(result.value)
        elif isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
