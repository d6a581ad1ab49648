"""
One deadline, moved often.

A deadline is an instant. The timer behind it is only moved when a deadline comes before it, otherwise it looks again
when it fires: so ordinary requests, each with deadlines of its own, never touch a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

_CLOCK_STEP_S: Final = 0.001  # loops fire a little early


class Deadline:
    """Calls *on_reached* once the instant last set has come."""

    __slots__ = ("_at", "_loop", "_on_reached", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_reached: Callable[[], None]) -> None:
        self._loop = loop
        self._on_reached = on_reached
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """It is at the instant *at* of the loop's clock, whatever it was before."""
        self._at = at
        timer = self._timer
        if timer is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timer = self._loop.call_at(at, self._look)

    def clear(self) -> None:
        """There is none, until the next is set."""
        self._at = None

    def stop(self) -> None:
        """There will be none any more."""
        self._at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        at = self._at
        if at is None:
            return
        if self._loop.time() + _CLOCK_STEP_S < at:
            self.set(at)
            return
        self._at = None
        self._on_reached()
