"""
What waits to be written, in the order in which it came.

To wake a sleeping thread takes a system call, and the two threads then get in each other's way. So what is put by
callbacks of a loop rings only once, at the end of the loop's turn; and what nobody waits for does not ring at all for a
while, in which most often something comes that does, and takes it along. Both stand in their place from the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections import deque
from typing import Final

from tuckshop.storage.work import Call, Work

# How long what nobody waits for may lie: longer than a client needs from the end of a reply to its next call, so that
# both share a commit, and too short for anybody to notice that a report does not have it yet.
RIDE_S: Final = 0.01


class WorkQueue:
    """From any number of threads to one."""

    def __init__(self) -> None:
        self._items: deque[Work | Call] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_asleep = False  # the thread that takes, and has to be woken
        self._is_urgent = False  # something waits that should not lie any longer
        self._ringing: set[asyncio.AbstractEventLoop] = set()  # those that will, this turn
        self._calling: set[asyncio.AbstractEventLoop] = set()  # those that will, within `RIDE_S`

    def __len__(self) -> int:
        """How much waits."""
        return len(self._items)

    def put(self, item: Work | Call) -> None:
        """Add *item*, to be taken at once."""
        self._items.append(item)
        self._is_urgent = True
        self._ring()

    def put_soon(self, item: Work, loop: asyncio.AbstractEventLoop) -> None:
        """Add *item*, to be taken at the end of the turn of *loop*, which is the running one."""
        self._items.append(item)
        self._is_urgent = True
        if loop not in self._ringing:
            self._ringing.add(loop)
            loop.call_soon(self._end_of_turn, loop)

    def put_to_ride(self, item: Work, loop: asyncio.AbstractEventLoop) -> None:
        """Add *item*, to be taken with whatever else is, or within `RIDE_S`. *loop* is the running one."""
        self._items.append(item)
        if loop not in self._calling:
            self._calling.add(loop)
            loop.call_later(RIDE_S, self._has_lain, loop)

    def hurry(self) -> None:
        """What waits should not lie any longer."""
        if self._items:
            self._is_urgent = True
            self._ring()

    def take(self, pause_s: float) -> Work | Call | None:
        """The first that waits; None if nothing comes for *pause_s*. For one thread alone."""
        items = self._items
        if pause_s > 0 and not (self._is_urgent and items):
            while not self._bell.empty():  # of several that rang at once
                self._bell.get_nowait()
            self._is_asleep = True  # first this and then the look: what is put in between rings
            if not (self._is_urgent and items):
                with contextlib.suppress(queue.Empty):
                    self._bell.get(timeout=pause_s)
            self._is_asleep = False
        if items:
            return items.popleft()
        self._is_urgent = False
        if items:  # put in between, so maybe urgent
            self._is_urgent = True
        return None

    def _end_of_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ringing.discard(loop)
        self._ring()

    def _has_lain(self, loop: asyncio.AbstractEventLoop) -> None:
        self._calling.discard(loop)
        self.hurry()

    def _ring(self) -> None:
        if self._is_asleep and self._items:
            self._bell.put(None)
