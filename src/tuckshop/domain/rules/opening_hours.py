"""Opening hours by the clocks on a group's walls: `Mon-Fri 08:00-18:00`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXPECTED: Final = "expected days and times such as 'Mon-Fri 08:00-18:00' or 'Sat,Sun 22:00-02:00'"

_DAY_MINUTES: Final = 24 * 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = "(?:mon|tue|wed|thu|fri|sat|sun)"
_HOURS: Final = re.compile(
    rf"({_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?){{0,6}}) ([0-9]{{2}}):([0-9]{{2}})-([0-9]{{2}}):([0-9]{{2}})"
)


class Hours(NamedTuple):
    """On some days of the week, from a minute of the day to another; past midnight where that is not later."""

    days: frozenset[int]  # Monday is 0
    start: int  # minutes since midnight
    end: int

    def holds(self, weekday: int, minute: int) -> bool:
        """Is it open at this minute of that day?"""
        if self.end > self.start:
            return weekday in self.days and self.start <= minute < self.end
        if weekday in self.days and minute >= self.start:
            return True
        return (weekday - 1) % 7 in self.days and minute < self.end

    def __str__(self) -> str:
        return f"{_named(self.days)} {_clock(self.start)}-{_clock(self.end)}"


def parse_hours(text: str) -> Hours:
    """
    What *text* says, whatever its case.

    Raises:
        ValueError: It says nothing of the kind; tells what was expected.
    """
    match = _HOURS.fullmatch(" ".join(text.split()).lower())
    if match is None:
        raise ValueError(EXPECTED)
    start, end = (int(match[n]) * 60 + int(match[n + 1]) for n in (2, 4))
    if start >= _DAY_MINUTES or end > _DAY_MINUTES or int(match[3]) > 59 or int(match[5]) > 59:
        raise ValueError("the times of a day are 00:00 to 24:00")
    if start == end:
        raise ValueError("it begins when it ends; a whole day is 00:00-24:00")
    days: set[int] = set()
    for part in match[1].split(","):
        first, _, last = part.partition("-")
        begin = _number(first)
        span = (_number(last or first) - begin) % 7
        days |= {(begin + n) % 7 for n in range(span + 1)}
    return Hours(frozenset(days), start, end)


def is_open(hours: Sequence[Hours], at_us: int, zone_name: str) -> bool:
    """Is it open by any of *hours* at that instant, in that zone?"""
    local = (_EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(zone_name))
    minute = local.hour * 60 + local.minute
    return any(one.holds(local.weekday(), minute) for one in hours)


def opens_next(hours: Sequence[Hours], at_us: int, zone_name: str) -> datetime | None:
    """When it opens after that instant, by the clocks of that zone; None: never."""
    zone = ZoneInfo(zone_name)
    now = (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)
    found = [
        begins
        for ahead in range(8)
        for one in hours
        if (day := now.date() + timedelta(days=ahead)).weekday() in one.days
        and (begins := _instant(datetime.combine(day, time(*divmod(one.start, 60))), zone)) > now
    ]
    return min(found, default=None)


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which clocks show *local*, or have passed it (they may skip it)."""
    return local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)


def _number(day: str) -> int:
    return DAYS.index(day.capitalize())


def _named(days: frozenset[int]) -> str:
    """As runs of three or more, and single ones: `Mon-Fri`, `Sat,Sun`."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[d] for d in run)
        for run in runs
    )


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
