"""
Windows: which stretch of time a limit counts over, in the zone of the people it is for.

A calendar window is a *period* (a day, an ISO week, a month, a year, named by its first date) and the instants it
covers: from the first instant whose local date has reached that date to the first instant of the next period. So
windows touch whatever the clocks do: a day may have 23 or 25 hours, may begin at one o'clock, and a day that a zone
skipped has no instants and no window.

After a change of zone the running window keeps its end, and the period after it begins exactly there. Where two
zones lie so far apart that this period is already over in the new zone, the next one that is not takes its place.

A rolling window is a row of sub-windows of 1/60 of its length. What fell into a sub-window counts whole until its
youngest instant has left, so no stretch of that length, wherever it begins, ever holds more than the amount.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from tuckshop.domain.limits import Calendar, Rolling

SUBWINDOWS: Final = 60
_US: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
# Names of the zone database that tell no zone, or another one on each machine; `right/` counts leap seconds.
_NO_ZONES: Final = re.compile(r"(localtime|posixrules|Factory|(posix|right)/.*)", re.IGNORECASE)


def check_zone(name: str) -> None:
    """
    See that *name* is an IANA time zone.

    Raises:
        ValueError: It is none.
    """
    if len(name) <= 100 and _ZONE_NAME.fullmatch(name) and not _NO_ZONES.fullmatch(name):
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass  # told below, in one sentence whatever the reason
        else:
            return
    raise ValueError(f"{name[:100]!r} is not an IANA time zone such as Europe/Berlin")


@dataclass(frozen=True, slots=True)
class ZoneHistory:
    """
    The IANA zone in force, and those before it: after a change the running window keeps its end.

    `changes` is (since_us, zone name), oldest first; the first one has since_us 0.
    """

    changes: tuple[tuple[int, str], ...]

    def __post_init__(self) -> None:
        if not self.changes or self.changes[0][0] != 0:
            raise ValueError("a zone history begins at 0")
        if any(old[0] > new[0] for old, new in zip(self.changes, self.changes[1:], strict=False)):
            raise ValueError("a zone history goes forward in time")

    @classmethod
    def of(cls, zone_name: str) -> ZoneHistory:
        """A zone that has always been in force."""
        check_zone(zone_name)
        return cls(((0, zone_name),))

    @property
    def current(self) -> str:
        """The zone in force now."""
        return self.changes[-1][1]

    def changed(self, at_us: int, zone_name: str) -> ZoneHistory:
        """The history with *zone_name* in force from *at_us* on; never before the change made last."""
        check_zone(zone_name)
        if zone_name == self.current:
            return self
        return ZoneHistory((*self.changes, (max(at_us, self.changes[-1][0]), zone_name)))


@dataclass(frozen=True, slots=True)
class Span:
    """One window: [start_us, end_us)."""

    id: str  # "2026-11", "2026-11-24", "2026-W48", "2026", "total"; unique and contiguous
    start_us: int
    end_us: int | None  # None: `total`


# ── calendar windows ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Period:
    """A kind of calendar window: how its periods follow each other. A period is told by its first date."""

    first_of: Callable[[date], date]  # of the period that a date lies in
    longest: timedelta  # so many days after its first date lies in the next one
    label: str  # strftime

    def after(self, first: date) -> date:
        return self.first_of(first + self.longest)

    def before(self, first: date) -> date:
        return self.first_of(first - timedelta(days=1))


_PERIODS: Final[dict[Calendar, _Period]] = {
    "day": _Period(lambda day: day, timedelta(days=1), "%Y-%m-%d"),
    "week": _Period(lambda day: day - timedelta(days=day.weekday()), timedelta(days=7), "%G-W%V"),
    "month": _Period(lambda day: day.replace(day=1), timedelta(days=31), "%Y-%m"),
    "year": _Period(lambda day: day.replace(month=1, day=1), timedelta(days=366), "%Y"),
}
_TOTAL: Final = Span("total", 0, None)


def span_at(window: Calendar, at_us: int, zone: ZoneHistory) -> Span:
    """The window that holds the instant *at_us*. Pure: the same for the same history, whenever it is asked."""
    if window == "total":
        return _TOTAL
    period = _PERIODS[window]
    regime = _Regime(period, zone.changes[0][1])
    for since_us, zone_name in zone.changes[1:]:
        if since_us < regime.since_us:
            # Changed again before the running window had ended: the zone between never came into force.
            regime = _Regime(period, zone_name, regime.since_us, regime.first)
            continue
        running, _, end_us = regime.window_at(since_us)
        if at_us < end_us:
            break
        regime = _Regime(period, zone_name, end_us, period.after(running))
    first, start_us, end_us = regime.window_at(at_us)
    return Span(first.strftime(period.label), start_us, end_us)


@dataclass(frozen=True, slots=True)
class _Regime:
    """One zone in force. Its first window begins at `since_us` and is the period of `first`, or a later one."""

    period: _Period
    zone_name: str
    since_us: int = -(2**63)
    first: date = date.min

    def window_at(self, at_us: int) -> tuple[date, int, int]:
        """The first date, the start and the end of the window that holds *at_us*, which is not before `since_us`."""
        period = self.period
        first = period.first_of(_local_date(at_us, self.zone_name))
        # A date may have been reached and left again, where clocks were set back over midnight.
        while self._reached_us(first) > at_us:
            first = period.before(first)
        while self._reached_us(period.after(first)) <= at_us:
            first = period.after(first)
        if first > self.first:
            opening = self._opening()
            if first > opening:
                return first, self._reached_us(first), self._reached_us(period.after(first))
            first = opening
        else:
            first = self._opening()
        return first, self.since_us, self._reached_us(period.after(first))

    def _opening(self) -> date:
        """The first period from `first` on that is not over when this zone comes into force."""
        first = self.first
        while first > date.min and self._reached_us(self.period.after(first)) <= self.since_us:
            first = self.period.after(first)
        return first

    def _reached_us(self, day: date) -> int:
        return _reached_us(day, self.zone_name)


def end_of_day_us(day: date, zone_name: str) -> int:
    """
    When *day* is over there: the first instant of the next one.

    Raises:
        OverflowError: There is no next one.
    """
    return _reached_us(day + timedelta(days=1), zone_name)


def _local_date(at_us: int, zone_name: str) -> date:
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(zone_name)).date()


@lru_cache(maxsize=8192)
def _reached_us(day: date, zone_name: str) -> int:
    """The first instant at which the local date is *day*, or past it where the zone skips that day."""
    zone = ZoneInfo(zone_name)
    # Of two midnights, fold=0 is the earlier.
    midnight = datetime.combine(day, time.min, tzinfo=zone)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return _us(instant)
    # There is no midnight: clocks jump over it, somewhere between what the offsets after and before make of it.
    early, late = _us(midnight.replace(fold=1).astimezone(UTC)) // _US, _us(instant) // _US
    while early < late:
        middle = (early + late) // 2
        if _local_date(middle * _US, zone_name) >= day:
            late = middle
        else:
            early = middle + 1
    return late * _US


def _us(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


class SpanMemo:
    """Remembers the window last asked for, per kind and zone: most calls fall into the one before."""

    def __init__(self, max_entries: int = 4096) -> None:
        self._spans: dict[tuple[Calendar, ZoneHistory], Span] = {}
        self._max_entries = max_entries

    def span_at(self, window: Calendar, at_us: int, zone: ZoneHistory) -> Span:
        """As the function of that name."""
        span = self._spans.get((window, zone))
        if span is None or not (
            span.start_us <= at_us and (span.end_us is None or at_us < span.end_us)
        ):
            span = span_at(window, at_us, zone)
            if len(self._spans) >= self._max_entries:
                self._spans.clear()
            self._spans[window, zone] = span
        return span


# ── rolling windows ──────────────────────────────────────────────────────────────────────────────────────────────


def subwindow_us(rolling: Rolling) -> int:
    """How long a sub-window is: 1/60 of the window, in whole microseconds. At most 61 of them are live at a time."""
    # Rounded up: rounded down, a second would have 62 live ones.
    return -(-rolling.seconds * _US // SUBWINDOWS)


def subwindow_start(rolling: Rolling, at_us: int) -> int:
    """Where the sub-window that holds *at_us* begins."""
    return at_us - at_us % subwindow_us(rolling)


def free_at_us(rolling: Rolling, subwindow_start_us: int) -> int:
    """From when on a sub-window no longer counts: its youngest instant has left the window."""
    return subwindow_start_us + subwindow_us(rolling) + rolling.seconds * _US


def is_live(rolling: Rolling, subwindow_start_us: int, now_us: int) -> bool:
    """Whether a sub-window still counts at *now_us*; then it counts whole."""
    return now_us < free_at_us(rolling, subwindow_start_us)
