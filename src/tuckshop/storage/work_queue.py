"""
What waits to be written, in the order in which it came.

To wake a sleeping thread takes a system call, and the two threads then get in each other's way. So what is put by
callbacks of a loop rings only once, at the end of the loop's turn; it stands in its place from the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections import deque

from tuckshop.storage.work import Call, Work


class WorkQueue:
    """From any number of threads to one."""

    def __init__(self) -> None:
        self._items: deque[Work | Call] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_asleep = False  # the thread that takes, and has to be woken
        self._ringing: set[asyncio.AbstractEventLoop] = set()  # those that will, this turn

    def __len__(self) -> int:
        """How much waits."""
        return len(self._items)

    def put(self, item: Work | Call) -> None:
        """Add *item*, to be taken at once."""
        self._items.append(item)
        self._ring()

    def put_soon(self, item: Work, loop: asyncio.AbstractEventLoop) -> None:
        """Add *item*, to be taken at the end of the turn of *loop*, which is the running one."""
        self._items.append(item)
        if loop not in self._ringing:
            self._ringing.add(loop)
            loop.call_soon(self._end_of_turn, loop)

    def take(self, pause_s: float) -> Work | Call | None:
        """The first that waits; None if nothing comes for *pause_s*. For one thread alone."""
        items = self._items
        if not items and pause_s > 0:
            while not self._bell.empty():  # of several that rang at once
                self._bell.get_nowait()
            self._is_asleep = True  # first this and then the look: what is put in between rings
            if not items:
                with contextlib.suppress(queue.Empty):
                    self._bell.get(timeout=pause_s)
            self._is_asleep = False
        return items.popleft() if items else None

    def _end_of_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ringing.discard(loop)
        self._ring()

    def _ring(self) -> None:
        if self._is_asleep and self._items:
            self._bell.put(None)
