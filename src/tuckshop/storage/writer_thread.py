"""
The one thread that writes: batches, checkpoints, and what happens when the disk will not.

What can go wrong, and what is done:

- disk full, or little space left (D3): the batch is rolled back, reservations are refused, settlements are kept and
  tried again; when they fit, everything goes on by itself;
- another process holds the database: the same;
- an error of the device (D4): nothing more is admitted or reported as done. The connection is thrown away, the
  database opened anew and checked, and memory read from it. A failed sync is final: whatever the disk says later
  proves nothing, so the server has to be restarted;
- the clock is not fit (section 6): reservations are refused, everything else goes on;
- a mistake in one submission: the batch is rolled back and tried again in halves, until the one stands alone.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ConflictError, ServerBusyError, StoreError
from tuckshop.domain.watch import Alarm, Watch
from tuckshop.storage.batch import BatchHandler, Submission
from tuckshop.storage.batch_answers import apply, do_jobs
from tuckshop.storage.clock_guard import ClockGuard
from tuckshop.storage.database import CLOCK_ACCEPTED, Database
from tuckshop.storage.session import WriterSession
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.trouble import Trouble, refusal, trouble_of
from tuckshop.storage.work import AdminJob, Call, Emptying, Place, Work, deliver
from tuckshop.storage.work_queue import WorkQueue

_log: Final = logging.getLogger(__name__)

BATCH_MAX: Final = 1_000
ADMIN_JOBS_MAX: Final = 4  # in one batch: each may write up to 200 rows, and calls wait for them
RETRY_S: Final = 1.0
IDLE_S: Final = 1.0  # after so long without work, what is in the log goes into the database
CLOSE_TIMEOUT_S: Final = 10.0  # how long kept work is tried again at a stop
MARK_INTERVAL_S: Final = 60.0
CHECKPOINT_AFTER: Final = 1_000  # submissions
ADMIN_JOB_WEIGHT: Final = 50  # submissions that an admin job counts as
LOG_PAGES_MAX: Final = 16_384  # 64 MiB
SPACE_CHECK_INTERVAL_S: Final = 1.0
SPACE_MIN_BYTES: Final = 64 << 20


class WriterThread:
    """Takes from the queue and writes. Only `trouble` is looked at from outside while it runs."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        waiting: WorkQueue,
        *,
        handler: BatchHandler | None,
        space_min_bytes: int,
        watch: Watch,
    ) -> None:
        self._watch = watch
        self.trouble: Trouble | None = None  # the worst there is: why reservations are refused
        self._troubles: set[Trouble] = set()
        self._database = database
        self._clock = clock
        self._queue = waiting
        self._handler = handler
        self._space_min_bytes = space_min_bytes
        self._guard = ClockGuard(clock)
        self._accepted: tuple[int, float] | None = (
            None  # wall and boot clock, in the open transaction
        )
        self._session: WriterSession | None = None  # None: no connection can be had at present
        self._current: list[Work] = []
        self._emptyings: list[Emptying] = []  # that were asked for
        self._again: deque[Work] = deque()  # kept work of batches that could not be written
        self._unreported: list[Submission] = []  # of the batch that an error of the device ended
        self._stopping = False
        self._since_checkpoint = 0
        self._marked_at_s = float("-inf")
        self._space_checked_at_s = float("-inf")
        self._retry_at_s = float("-inf")
        self._stopped_at_s = float("-inf")

    def leftovers(self) -> list[Work]:
        """After the end: what was not done."""
        left = [*self._again]
        self._again.clear()
        left += self._emptyings
        while (item := self._queue.take(0)) is not None:
            if not isinstance(item, Call):
                left.append(item)
        return left

    def accept_clock(self, transaction: Transaction, actor: Actor) -> tuple[int, int]:
        """
        Take the clock as it is for right, with the commit of *transaction*. Work for `transact`.

        Returns:
            The latest time known before, and the one that now holds.
        Raises:
            ConflictError: The clock is fit.
        """
        if self._guard.unfit is None:
            raise ConflictError("The clock is fit: there is nothing to accept.")
        before_us = self._guard.mark_us
        wall_us, boot_s = self._guard.look()
        transaction.now_us = wall_us  # for what comes after it in the batch too
        transaction.audit(
            actor, "clock.accept", "clock", {"latest_us": before_us}, {"latest_us": wall_us}
        )
        transaction.remember("clock_high_water", str(wall_us))
        # Rows that an earlier clock dated later than now must not stop the next start.
        for (workspace_id,) in transaction.cursor.execute("SELECT id FROM workspaces").fetchall():
            position = transaction.last_position(workspace_id)
            transaction.remember(f"{CLOCK_ACCEPTED}{workspace_id}", str(position))
        self._accepted = (wall_us, boot_s)
        return before_us, wall_us

    def run(self, ready: Place) -> None:
        """The thread, from opening to closing; *ready* is told when work is taken, or why it is not."""
        try:
            self._open(())
        except Exception as error:  # noqa: BLE001 - goes to whoever started the thread
            self._drop_session()
            failure = StoreError(f"the ledger cannot be loaded: {error}")
            failure.__cause__ = error
            deliver([(ready, failure)])
            return
        deliver([(ready, None)])
        while not (self._stopping and (self._is_drained() or self._is_overdue())):
            try:
                self._step()
            except Exception:  # noqa: BLE001 - the thread's edge: those who wait must be told
                # A mistake of ours where no submission can be blamed, so memory is not to be trusted.
                _log.exception("the ledger's writer failed")
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
        return not self._again and not len(self._queue)

    def _is_overdue(self) -> bool:
        return self._clock.monotonic_s() - self._stopped_at_s > CLOSE_TIMEOUT_S

    def _step(self) -> None:
        batch = self._current = self._gather()
        self._check_space()
        now_us = self._read_clock()
        if self.trouble is not None:
            batch = self._current = self._refuse(batch, self.trouble)
            if self.trouble.stops_admin and not self._is_time_to_retry():
                self._again.extend(batch)
                return
            if self.trouble.is_latch:
                self._again.extend(batch)
                self._try_to_reopen()
                return
        if batch and all(isinstance(item, Place) for item in batch):
            deliver([(item, None) for item in batch])
        elif batch or self._is_awaited() or self._is_write_due():
            self._commit(batch, now_us)
        elif self._since_checkpoint:
            self._checkpoint()
        if self._emptyings:
            self._empty_log()

    def _gather(self) -> list[Work]:
        """What the next transaction is made of; empty when it is only time for something."""
        batch: list[Work] = []
        admin_jobs = 0
        pause_s = self._pause_s()
        if self._handler is not None and self._handler.is_waited_for():
            self._queue.hurry()
        while len(batch) < BATCH_MAX and admin_jobs < ADMIN_JOBS_MAX:
            item = self._queue.take(pause_s)
            if item is None:
                break
            admin_jobs += self._take(item, batch)
            pause_s = 0
        if self._again:
            batch[:0] = self._again
            self._again.clear()
        return batch

    def _take(self, item: Work | Call, batch: list[Work]) -> int:
        if isinstance(item, Call):
            if item.stop and not self._stopping:
                self._stopping = True
                self._stopped_at_s = self._clock.monotonic_s()
            return 0
        if isinstance(item, Emptying):
            self._emptyings.append(item)
            return 0
        batch.append(item)
        return isinstance(item, AdminJob)

    def _pause_s(self) -> float:
        now_s = self._clock.monotonic_s()
        if self.trouble is not None and self.trouble.stops_admin:
            return min(RETRY_S, max(0.01, self._retry_at_s - now_s))
        if self._stopping or self._again:
            return 0
        pause_s = IDLE_S if self.trouble is not None or self._since_checkpoint else MARK_INTERVAL_S
        wake_at_s = self._handler.wake_at_s() if self._handler is not None else None
        return pause_s if wake_at_s is None else min(pause_s, wake_at_s - now_s)

    def _is_awaited(self) -> bool:
        wake_at_s = self._handler.wake_at_s() if self._handler is not None else None
        return wake_at_s is not None and wake_at_s <= self._clock.monotonic_s()

    def _is_write_due(self) -> bool:
        """Whether to write though nothing was submitted: the clock's mark, or to see whether a trouble is over."""
        if self.trouble is not None and self.trouble.stops_admin:
            return True
        return self._is_mark_due()

    # ── a batch ───────────────────────────────────────────────────────────────────────────────────────────────

    def _commit(self, batch: list[Work], now_us: int) -> None:
        session = self._session
        assert session is not None
        began_s = self._clock.monotonic_s()
        try:
            answers = self._write(session, batch, now_us)
        except _MemoryLostError:
            raise
        except Exception as error:  # noqa: BLE001 - sorted out here: the machine's trouble, or one submission's
            trouble = trouble_of(error)
            if trouble is not None:
                self._hit(trouble, error, batch)
            elif len(batch) > 1:  # one of them carries the fault: halve until it stands alone
                self._commit_part(batch[: len(batch) // 2])
                self._commit_part(batch[len(batch) // 2 :])
            else:
                self._blame(batch, error)
            return
        # Committed: whatever fails from here on must not have the batch tried again.
        if batch:
            self._watch.committed(len(batch), self._clock.monotonic_s() - began_s)
        if self._accepted is not None:
            self._guard.accept(*self._accepted)
            self._leave(Trouble.CLOCK)
        if self._handler is not None:
            self._handler.committed()
        for over in (Trouble.LOCKED, Trouble.FULL):
            self._leave(over)
        deliver(answers)
        if session.transaction.touched:
            self._guard.zones = self._database.zones(session.transaction)
        self._since_checkpoint += 1 + sum(
            ADMIN_JOB_WEIGHT if isinstance(item, AdminJob) else 1 for item in batch
        )
        if self._since_checkpoint >= CHECKPOINT_AFTER:
            self._checkpoint()

    def _commit_part(self, part: list[Work]) -> None:
        if self.trouble is not None and self.trouble.stops_admin:  # came up since
            self._again.extend(self._refuse(part, self.trouble))
        else:
            self._commit(part, self._guard.mark_us)

    def _blame(self, batch: list[Work], error: Exception) -> None:
        _log.error("a submission to the ledger failed", exc_info=error)
        for item in batch:
            if isinstance(item, Submission) and item.kept:
                _log.error("ALARM: a settlement cannot be written: %r", item.operation)
        deliver([(item, error) for item in batch])
        if self._handler is not None:  # it may be one of those that wait, and would be again
            busy = ServerBusyError("a fault in the ledger")
            deliver([(parked, busy) for parked in self._handler.abandon()])

    def _write(
        self, session: WriterSession, batch: list[Work], now_us: int
    ) -> list[tuple[Work, object]]:
        session.begin(now_us)
        self._accepted = None
        handler = self._handler
        begun = False
        try:
            if handler is None:
                answers = do_jobs(batch, session)
            else:
                begun = True
                handler.begin(session.transaction)
                answers = apply(handler, batch, session)
            if self._is_mark_due() or self.trouble in (Trouble.LOCKED, Trouble.FULL):
                self._remember_mark(session.transaction)  # also proves that writing works again
            session.commit()
        except BaseException as error:
            session.roll_back()
            if begun and handler is not None:
                try:
                    handler.rolled_back()
                except Exception:  # noqa: BLE001 - raised on, as what it means here
                    raise _MemoryLostError from error
            raise
        return answers

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

    def _empty_log(self) -> None:
        """Between transactions; where the ledger is in trouble nothing is empty."""
        is_empty = False
        if self._session is not None and self.trouble is None:
            try:
                is_empty = self._session.empty_log()
            except sqlite3.Error as error:
                _log.warning("the ledger's log could not be emptied: %s", error)
        self._database.interrupt_long_readers()
        deliver([(item, is_empty) for item in self._emptyings])
        self._emptyings.clear()

    def _is_mark_due(self) -> bool:
        return self._clock.monotonic_s() - self._marked_at_s >= MARK_INTERVAL_S

    def _remember_mark(self, transaction: Transaction) -> None:
        mark_us = self._guard.mark_us if self._accepted is None else self._accepted[0]
        transaction.remember("clock_high_water", str(mark_us))
        self._marked_at_s = self._clock.monotonic_s()

    # ── trouble ───────────────────────────────────────────────────────────────────────────────────────────────

    def _enter(self, trouble: Trouble, details: object) -> None:
        if trouble not in self._troubles:
            level = logging.CRITICAL if trouble.is_latch else logging.ERROR
            _log.log(level, "ALARM: nothing is admitted: %s: %s", refusal(trouble).reason, details)
            self._troubles.add(trouble)
            self._watch.alarm(_ALARMS[trouble])
            self.trouble = max(self._troubles)

    def _leave(self, trouble: Trouble) -> None:
        if trouble in self._troubles:
            _log.warning("no longer so: %s", refusal(trouble).reason)
            self._troubles.discard(trouble)
            self.trouble = max(self._troubles, default=None)

    def _hit(self, trouble: Trouble, error: BaseException, batch: list[Work]) -> None:
        """A batch could not be written."""
        self._enter(trouble, error)
        self._marked_at_s = float("-inf")  # the mark may not have been written
        self._retry_at_s = self._clock.monotonic_s() + RETRY_S
        if trouble.is_latch:
            self._unreported += [item for item in batch if isinstance(item, Submission)]
        self._again.extend(self._refuse(batch, trouble))

    def _is_time_to_retry(self) -> bool:
        return self._clock.monotonic_s() >= self._retry_at_s

    def _refuse(self, batch: list[Work], trouble: Trouble) -> list[Work]:
        """Refuse what *trouble* does not let through, parked reservations included; the rest is handed back."""
        left: list[Work] = []
        refused: list[Work] = []
        for item in batch:
            may_stay = item.kept if isinstance(item, Submission) else not trouble.stops_admin
            (left if may_stay else refused).append(item)
        if self._handler is not None:
            refused.extend(self._handler.abandon())
        deliver([(item, refusal(trouble)) for item in refused])
        return left

    def _try_to_reopen(self) -> None:
        """After an error of the device: a new connection, a check, and memory read from what is there (D4)."""
        self._retry_at_s = self._clock.monotonic_s() + RETRY_S
        if self.trouble is Trouble.FINAL:
            return
        self._drop_session()
        try:
            self._database.check()
            self._open(self._unreported)
        except Exception as error:  # noqa: BLE001 - stays latched, and is tried again
            self._drop_session()
            _log.error("the ledger cannot be reopened yet: %s", error)
            if trouble_of(error) is Trouble.FINAL:
                self._enter(Trouble.FINAL, error)
            return
        self._unreported = []
        for over in (Trouble.DEVICE, Trouble.FULL, Trouble.LOCKED):
            self._leave(over)

    def _check_space(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._space_checked_at_s < SPACE_CHECK_INTERVAL_S:
            return
        self._space_checked_at_s = now_s
        free = self._database.free_bytes()
        if free < self._space_min_bytes:
            self._enter(Trouble.SPACE, f"{free >> 20} MiB left")
        elif free > self._space_min_bytes * 5 // 4:  # no flutter at the mark
            self._leave(Trouble.SPACE)

    def _read_clock(self) -> int:
        reading = self._guard.read()
        if reading.event is not None:
            _log.warning("clock: %s", reading.event)
        if reading.unfit is not None:
            self._enter(
                Trouble.CLOCK, f"{reading.unfit}; set it right, or `tuckshop clock accept` if it is"
            )
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
            deliver([(item, ServerBusyError("shutting down")) for item in self._handler.abandon()])
        session = self._session
        may_write = self.trouble is None or not self.trouble.is_latch
        if session is not None and may_write and not self._again:
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


_ALARMS: Final[Mapping[Trouble, Alarm]] = {
    Trouble.CLOCK: "clock",
    Trouble.SPACE: "space",
    Trouble.LOCKED: "locked",
    Trouble.FULL: "full",
    Trouble.DEVICE: "device",
    Trouble.FINAL: "final",
}


class _MemoryLostError(Exception):
    """The handler could not go back to where the batch began."""
