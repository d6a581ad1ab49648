"""
The way into the database: everything that is to be written goes through one queue to one thread.

Whatever arrived while the last commit was on its way goes into the next transaction, so the price of durability is
shared (group commit). What one turn of a loop hands over wakes the thread once. Results come back only after their
commit (M3), with one call into the event loop per batch.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ServerBusyError
from tuckshop.domain.watch import Unwatched, Watch
from tuckshop.storage.batch import BatchHandler, Submission
from tuckshop.storage.database import Database
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.trouble import Trouble, refusal
from tuckshop.storage.work import AdminJob, Call, Emptying, Place, deliver
from tuckshop.storage.work_queue import WorkQueue
from tuckshop.storage.writer_thread import SPACE_MIN_BYTES, WriterThread

T = TypeVar("T")
_log: Final = logging.getLogger(__name__)
WAITING_MAX: Final = 10_000


class Writer:
    """Hands work to the thread that writes. Every method may be called from any thread that runs a loop."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        handler: BatchHandler | None = None,
        waiting_max: int = WAITING_MAX,
        space_min_bytes: int = SPACE_MIN_BYTES,
        watch: Watch | None = None,
    ) -> None:
        """
        Nothing runs before `start`.

        Args:
            handler: The ledger; without one only `transact` can be used.
            waiting_max: Beyond so many waiting submissions, reservations and admin changes are refused.
            space_min_bytes: With less free space on the disk, nothing is admitted (D3).
        """
        self._handler = handler
        self._waiting_max = waiting_max
        self._queue = WorkQueue()
        self._inside = WriterThread(
            database,
            clock,
            self._queue,
            handler=handler,
            space_min_bytes=space_min_bytes,
            watch=watch or Unwatched(),
        )
        self._thread: threading.Thread | None = None
        self._closing = False
        self._closed = False

    @property
    def trouble(self) -> str | None:
        """Why nothing is admitted at present, without inner details; None: all is well."""
        if self._closing:
            return "shutting down"
        trouble = self._inside.trouble
        return None if trouble is None else refusal(trouble).reason

    @property
    def must_restart(self) -> bool:
        """Whether only a new start of the server can help (D4)."""
        return self._inside.trouble is Trouble.FINAL

    @property
    def waiting(self) -> int:
        """How many submissions the thread has not taken yet."""
        return len(self._queue)

    async def start(self) -> None:
        """
        Start the thread and let the handler load.

        Raises:
            StoreError: The database cannot be written, or what it holds cannot be loaded.
        """
        assert self._thread is None, "a writer starts once"
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._thread = threading.Thread(
            target=self._inside.run, args=(Place(ready),), name="tuckshop-writer", daemon=True
        )
        self._thread.start()
        try:
            await ready
        except BaseException:
            self._closing = True
            self._queue.put(Call(stop=True))
            raise

    async def close(self) -> None:
        """Write everything that was handed over, refuse what waits to be admitted, stop cleanly."""
        if self._thread is None or self._closed:
            return
        if not self._closing:
            self._closing = True
            self._queue.put(Call(stop=True))
        await asyncio.to_thread(self._thread.join)
        self._closed = True
        self._refuse_leftovers()

    def submit(
        self,
        operation: object,
        *,
        future: asyncio.Future[Any] | None = None,
        kept: bool = False,
        may_ride: bool = False,
    ) -> Submission:
        """
        Hand a ledger operation over and return at once.

        Args:
            future: Gets the answer after the commit that holds it, on the future's own loop.
            kept: It settles or gives back, so it is taken even when nothing is admitted, and tried until written.
            may_ride: It need not be written before something else is, or `RIDE_S` has passed, or somebody is parked.
        Raises:
            ServerBusyError: Not `kept`, and nothing can be admitted now or too many wait; or the writer is closed.
        """
        assert self._handler is not None, "this writer has no ledger"
        if self._closed:
            raise ServerBusyError("shutting down")
        if not kept:
            self._check_room(self._inside.trouble)
        submission = Submission(operation, future, kept)
        loop = asyncio.get_running_loop() if future is None else future.get_loop()
        if not may_ride:
            self._queue.put_soon(submission, loop)
            return submission
        self._queue.put_to_ride(submission, loop)
        # First put, then asked; the thread parks first and looks at the queue then. So one of the two sees the other.
        if self._handler.is_waited_for():
            self._queue.hurry()
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
        trouble = self._inside.trouble
        self._check_room(trouble if trouble is not None and trouble.stops_admin else None)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(AdminJob(work, future))
        return await future

    async def accept_clock(self, actor: Actor) -> tuple[int, int]:
        """
        Go on after the clock has jumped: it is right as it is (section 6). Audited.

        Returns:
            The latest time known before, and the one that now holds; microseconds.
        Raises:
            ConflictError: The clock is fit.
            ServerBusyError: It cannot be written now.
        """
        return await self.transact(
            lambda transaction: self._inside.accept_clock(transaction, actor)
        )

    async def flush(self) -> None:
        """
        Wait until everything handed over before is committed. What is parked may wait on.

        Raises:
            ServerBusyError: Nothing can be written now.
        """
        if self._closed:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(Place(future))
        await future

    async def empty_log(self) -> bool:
        """
        Move what is committed into the database and cut the log off.

        Returns:
            Whether nothing is left in it; somebody who reads, or trouble, may keep it.
        Raises:
            ServerBusyError: The writer is closed.
        """
        if self._closing:
            raise ServerBusyError("shutting down")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.put(Emptying(future))
        return await future

    def poke(self) -> None:
        """Look at the clock and at `wake_at_s` now. For tests that move the clock."""
        self._queue.put(Call(stop=False))

    def _check_room(self, trouble: Trouble | None) -> None:
        if self._closing:
            raise ServerBusyError("shutting down")
        if trouble is not None:
            raise refusal(trouble)
        if len(self._queue) >= self._waiting_max:
            raise ServerBusyError("too many requests are waiting", retry_after_s=1)

    def _refuse_leftovers(self) -> None:
        # What could not be written to the end, and what came in after the thread's last look at the queue.
        lost = self._inside.leftovers()
        kept = sum(isinstance(item, Submission) and item.kept for item in lost)
        if kept:
            _log.error(
                "ALARM: %d settlements could not be written; the next start charges their bounds",
                kept,
            )
        deliver([(item, ServerBusyError("shutting down")) for item in lost])
