"""
What time it is, so that a window once closed never reopens.

The guard keeps a high-water mark: the latest time it ever gave out. It never gives an earlier one. A wall clock that
steps back a little is waited for; one that steps back far, or leaps across a day's edge without the boot clock (which
counts sleep) having moved along, is not fit: what it says may be wrong in either direction, so nothing is admitted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tuckshop.domain.clock import US_PER_SECOND, Clock

BACKWARD_TOLERANCE_US: Final = 120 * US_PER_SECOND
FORWARD_TOLERANCE_US: Final = 300 * US_PER_SECOND
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the clock."""

    now_us: int  # never less than any reading before it
    unfit: str | None  # why nothing may be admitted at this time; None: all is well
    event: str | None = None  # what an operator should know, told once


class ClockGuard:
    """The wall clock, held to its own past."""

    def __init__(self, clock: Clock, mark_us: int = 0) -> None:
        """*mark_us*: the stored high-water mark; 0 for a new ledger."""
        self._clock = clock
        self._mark_us = mark_us
        self._boot_s: float | None = None  # the boot clock at the last time that was accepted
        self._unfit: str | None = None
        self.zones: frozenset[str] = frozenset({"UTC"})  # whose days' edges matter

    @property
    def mark_us(self) -> int:
        """The latest time given out: what has to be stored."""
        return self._mark_us

    @property
    def unfit(self) -> str | None:
        """Why nothing may be admitted, as of the last reading."""
        return self._unfit

    def look(self) -> tuple[int, float]:
        """(wall clock, boot clock) as they are, to be accepted or not."""
        return self._clock.now_us(), self._clock.boot_s()

    def accept(self, wall_us: int, boot_s: float) -> None:
        """Go on from there, whatever was before: somebody says that this clock is right."""
        self._mark_us = wall_us
        self._boot_s = boot_s
        self._unfit = None

    def read(self) -> Reading:
        """The time to go by, and whether to go on."""
        wall_us = self._clock.now_us()
        boot_s = self._clock.boot_s()
        if wall_us < self._mark_us:
            return self._behind(self._mark_us - wall_us)
        event: str | None = None
        if self._boot_s is not None:
            expected_us = self._mark_us + int((boot_s - self._boot_s) * US_PER_SECOND)
            ahead_us = wall_us - expected_us
            if ahead_us > FORWARD_TOLERANCE_US:
                leap = f"the clock leapt {ahead_us // US_PER_SECOND} s ahead"
                if crosses_day(self._mark_us, wall_us, self.zones):
                    return self._stop(f"{leap}, across the edge of a day")
                event = f"{leap}; accepted"
        elif self._mark_us and wall_us - self._mark_us > FORWARD_TOLERANCE_US:
            event = f"the last time known is {(wall_us - self._mark_us) // US_PER_SECOND} s ago; accepted"
        if self._unfit is not None:
            event = "the clock is fit again"
            self._unfit = None
        self._mark_us = wall_us
        self._boot_s = boot_s
        return Reading(wall_us, None, event)

    def _behind(self, back_us: int) -> Reading:
        if back_us <= BACKWARD_TOLERANCE_US:
            event = None
            if self._unfit is not None:
                event = "the clock is fit again"
                self._unfit = None
            return Reading(self._mark_us, None, event)
        return self._stop(f"the clock is {back_us // US_PER_SECOND} s behind a time already seen")

    def _stop(self, reason: str) -> Reading:
        # Told once per trouble, not once per look.
        event = reason if self._unfit is None else None
        self._unfit = reason
        return Reading(self._mark_us, reason, event)


def crosses_day(from_us: int, to_us: int, zones: Iterable[str]) -> bool:
    """Whether a day, and so maybe a window, begins in any of *zones* after *from_us*, up to *to_us*."""
    if to_us - from_us >= 86_400 * US_PER_SECOND:
        return True
    first, last = (_EPOCH + timedelta(microseconds=at) for at in (from_us, to_us))
    return any(_date(first, zone) != _date(last, zone) for zone in zones)


def _date(at: datetime, zone: str) -> date:
    try:
        return at.astimezone(ZoneInfo(zone)).date()
    except (ZoneInfoNotFoundError, ValueError):  # a zone that this system's data lost: days of UTC
        return at.date()
