"""
Keeps the bodies of calls, where a group says so (P1), and never in the way of a call (D2).

On the loop a call's request and reply gather in a `Tap`; when it is over they go to a thread of their own, which packs,
seals and writes them. All of it together has a bound in memory: what is beyond it is not kept. Where only flagged calls
are kept, a call whose verdict may still come waits in memory for a while, and is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import msgspec

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import StoreError
from tuckshop.domain.records import Holder
from tuckshop.keeping.body_file import NAME
from tuckshop.keeping.kept_body import KeptBody
from tuckshop.keeping.orders import (
    Erase,
    Flagged,
    Flush,
    Keep,
    Order,
    Retain,
    Retention,
    Stop,
)
from tuckshop.keeping.seals import Seals
from tuckshop.keeping.tap import Tap
from tuckshop.keeping.writer_thread import FREE_MIN_BYTES, BodyWriterThread, Dropped, Losses
from tuckshop.protocols.endpoints import Endpoint

MEMORY_MAX_BYTES: Final = 64 << 20
LINGER_S: Final = 120.0  # how long a verdict may take after its call
EARLY_MAX: Final = 10_000  # ids of calls that were flagged before they were sent


class Keeper:
    """Used on one loop. Its thread begins with the first body, or where there are some."""

    def __init__(
        self,
        folder: Path,
        *,
        seals: Seals,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        max_bytes: int,
        each_max_bytes: int,
        kept: Callable[[int], None] = lambda count: None,
        dropped: Callable[[Dropped, int], None] = lambda why, count: None,
        memory_max_bytes: int = MEMORY_MAX_BYTES,
        free_min_bytes: int = FREE_MIN_BYTES,
    ) -> None:
        """
        Bodies of the data *folder*.

        Args:
            max_bytes: The most that the file may take.
            each_max_bytes: The most of one request or reply; what is longer is cut off.
            kept: Told how many were kept, on the thread.
            dropped: Told how many were not. Each reason comes from one thread.
        """
        self.path = folder / NAME
        self._clock = clock
        self._loop = loop
        self._each_max_bytes = each_max_bytes
        self._memory_max_bytes = memory_max_bytes
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._inside = BodyWriterThread(
            self.path,
            self._orders,
            seals=seals,
            clock=clock,
            max_bytes=max_bytes,
            losses=Losses(clock, dropped),
            kept=kept,
            free=self._free,
            free_min_bytes=free_min_bytes,
        )
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._losses = Losses(clock, dropped)
        self._held_bytes = 0
        self._running: dict[str, Tap] = {}
        self._lingering: dict[str, tuple[float, Tap]] = {}  # until when, oldest first
        self._early: dict[str, None] = {}  # oldest first

    @property
    def held_bytes(self) -> int:
        """Memory that bodies take, granted to calls that run or waiting to be written."""
        return self._held_bytes

    # ── of a call ─────────────────────────────────────────────────────────────────────────────────────────────

    def begin(
        self, request_id: str, holder: Holder, endpoint: Endpoint, request: bytes
    ) -> Tap | None:
        """Listen to a call whose *request* is sent; None: nothing of it is kept."""
        bodies = holder.group.logging.bodies
        if bodies == "off" or self._is_closed:
            return None
        self._forget_late()
        tap = Tap(
            KeptBody(
                request_id=request_id,
                workspace_id=holder.workspace.id,
                group_id=holder.group.id,
                member_id=holder.member.id,
                at_us=self._clock.now_us(),
                is_flagged=self._early.pop(request_id, self) is None,
            ),
            endpoint=endpoint.name,
            events=endpoint.events,
            request=request[: self._each_max_bytes],
            request_bytes=len(request),
            wants_all=bodies == "all",
            reply_max_bytes=self._each_max_bytes,
            grant=self._grant,
            on_end=self._ended,
        )
        if not self._grant(tap, min(len(request), self._each_max_bytes)):
            return None
        self._running[request_id] = tap
        return tap

    def refused(self, request_id: str, holder: Holder, endpoint: Endpoint, request: bytes) -> None:
        """A call was not sent: its request is kept if something was flagged in it."""
        if request_id in self._early:
            tap = self.begin(request_id, holder, endpoint, request)
            if tap is not None:
                tap.end(None, is_stream=False)

    def flagged(self, request_id: str) -> None:
        """Something was flagged in this call, whether it is still to be sent, runs, or is over."""
        tap = self._running.get(request_id)
        if tap is not None:
            tap.is_flagged = True
        elif request_id in self._lingering:
            _, tap = self._lingering.pop(request_id)
            tap.is_flagged = True
            self._write(tap)
        else:
            if self._thread is not None:  # it may be kept already
                self._orders.put(Flagged(request_id))
            self._early[request_id] = None
            if len(self._early) > EARLY_MAX:
                del self._early[next(iter(self._early))]

    # ── of all ────────────────────────────────────────────────────────────────────────────────────────────────

    async def retain(self, retention: Retention) -> int:
        """Delete all but this, in pieces, between what is written; how many bodies that were."""
        self._forget_late()
        if self._is_closed or (self._thread is None and not self.path.exists()):
            return 0
        done: asyncio.Future[int] = self._loop.create_future()
        self._order(Retain(retention, done))
        self._inside.hurry.set()
        return await done

    async def erase(self, member_ids: Collection[str]) -> int:
        """
        Delete all bodies of these members; how many there were on the disk.

        Raises:
            StoreError: They could not be deleted.
        """
        gone = frozenset(member_ids)
        for tap in (*self._running.values(), *(tap for _, tap in self._lingering.values())):
            if tap.body.member_id in gone:
                self._forget(tap)
        if self._thread is None and not self.path.exists():
            return 0
        if self._is_closed:
            raise StoreError("the kept bodies could not be deleted: the server stops")
        done: asyncio.Future[int] = self._loop.create_future()
        self._order(Erase(gone, done))
        self._inside.hurry.set()
        return await done

    async def flush(self) -> None:
        """Return when all that is over by now is written, or will not be any more."""
        if self._thread is not None and not self._is_closed:
            done: asyncio.Future[None] = self._loop.create_future()
            self._order(Flush(done))
            self._inside.hurry.set()
            await done

    async def close(self) -> None:
        """Write what is over, and end the thread. Nothing is kept from now on."""
        self._is_closed = True
        if self._thread is not None:
            self._orders.put(Stop())
            self._inside.hurry.set()
            await asyncio.to_thread(self._thread.join)
            self._thread = None
            self._inside.refuse_rest()

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────

    def _grant(self, tap: Tap, size: int) -> bool:
        while self._held_bytes + size > self._memory_max_bytes:
            if not self._lingering:
                self._losses.add("memory")
                return False
            _, oldest = next(iter(self._lingering.values()))
            self._forget(oldest)
        self._held_bytes += size
        tap.bytes_held += size
        return True

    def _ended(self, tap: Tap) -> None:
        request_id = tap.body.request_id
        if self._running.pop(request_id, None) is None:
            return  # erased meanwhile
        self._freed(tap.spare())
        if tap.is_flagged or tap.wants_all:
            self._write(tap)
        else:
            until_s = self._clock.monotonic_s() + LINGER_S
            self._lingering[request_id] = until_s, tap

    def _write(self, tap: Tap) -> None:
        body = tap.body
        if tap.is_flagged and not body.is_flagged:
            body = msgspec.structs.replace(body, is_flagged=True)
        self._order(Keep(body, tap.content, tap.bytes_held))

    def _forget(self, tap: Tap) -> None:
        request_id = tap.body.request_id
        self._lingering.pop(request_id, None)
        self._running.pop(request_id, None)
        tap.mute()
        self._freed(tap.bytes_held)
        tap.bytes_held = 0

    def _forget_late(self) -> None:
        """What waited too long for a verdict."""
        now_s = self._clock.monotonic_s()
        while self._lingering:
            until_s, tap = next(iter(self._lingering.values()))
            if until_s > now_s:
                return
            self._forget(tap)

    def _free(self, size: int) -> None:
        """On the thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._freed, size)

    def _freed(self, size: int) -> None:
        self._held_bytes -= size

    def _order(self, order: Order) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._inside.run, name="tuckshop-bodies", daemon=True
            )
            self._thread.start()
        self._orders.put(order)
