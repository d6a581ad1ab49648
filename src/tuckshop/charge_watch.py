"""
Alarms on what all calls are charged together: nothing at all, or too much of it guessed.

A price that reads as nothing or a usage field that changed its name refuses nobody and breaks nothing; it shows in the
sums alone. They are compared once in a while, by whoever has a loop to do it on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from tuckshop.domain.clock import Clock
from tuckshop.domain.watch import Alarm

_log: Final = logging.getLogger(__name__)

SILENT_S: Final = 300.0
SILENT_CALLS: Final = 10  # fewer may all be long ones, or all have failed
SHARE_S: Final = 86_400.0
SHARE_CALLS: Final = 100  # fewer make no share
GUESSED_MAX_PERCENT: Final = 1


class Sums(NamedTuple):
    """Since the start, of calls that have a price."""

    dispatched: int = 0
    settled: int = 0
    charged: int = 0  # settled, and at more than nothing
    guessed: int = 0  # settled, and flagged `unconfirmed` or `estimated`


class ChargeWatch:
    """Compares the sums with those at earlier looks."""

    def __init__(
        self, clock: Clock, *, read: Callable[[], Sums], alarm: Callable[[Alarm], None]
    ) -> None:
        self._clock = clock
        self._read = read
        self._alarm = alarm
        self._charged = Sums()  # when something was charged last
        self._silent_since_s: float | None = None  # None: nothing was sent since
        self._day = Sums()  # when the running day began
        self._day_began_s = clock.monotonic_s()
        self._is_share_told = False  # on this day

    def look(self) -> None:
        """Once a second or so."""
        now, now_s = self._read(), self._clock.monotonic_s()
        self._look_for_charges(now, now_s)
        self._look_at_share(now, now_s)

    def _look_for_charges(self, now: Sums, now_s: float) -> None:
        if now.charged > self._charged.charged:
            self._charged, self._silent_since_s = now, None
        sent = now.dispatched - self._charged.dispatched
        if not sent:
            return
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        elif now_s - self._silent_since_s >= SILENT_S and sent >= SILENT_CALLS:
            _log.error(
                "ALARM: no_charges: %d calls were sent in %d s and none was charged anything"
                " (%d came to an end)",
                sent,
                now_s - self._silent_since_s,
                now.settled - self._charged.settled,
            )
            self._alarm("no_charges")
            self._charged, self._silent_since_s = now, None  # and again, if it goes on

    def _look_at_share(self, now: Sums, now_s: float) -> None:
        if now_s - self._day_began_s >= SHARE_S:
            self._day, self._day_began_s, self._is_share_told = now, now_s, False
        settled, guessed = now.settled - self._day.settled, now.guessed - self._day.guessed
        if self._is_share_told or settled < SHARE_CALLS:
            return
        if guessed * 100 > settled * GUESSED_MAX_PERCENT:
            _log.error(
                "ALARM: estimated_share: %d of %d calls within a day were charged without usage"
                " that could be relied on",
                guessed,
                settled,
            )
            self._alarm("estimated_share")
            self._is_share_told = True
