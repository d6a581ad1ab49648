"""Does a key spend far more than it used to? Judged against its own past alone."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median_low
from typing import Final

HOURS_MIN: Final = 3  # in which it spent anything: fewer are no past
TIMES: Final = 5
LEAST_NANO: Final = 50_000_000  # $0.05: below it nobody needs to look
PAST_DAYS: Final = 14


def usual_hour(past_nano: Iterable[int]) -> int | None:
    """What is usual for a key in an hour in which it spends: the median of such hours; None: it has no past."""
    active = [nano for nano in past_nano if nano > 0]
    return median_low(active) if len(active) >= HOURS_MIN else None


def is_unusual(now_nano: int, usual_nano: int) -> bool:
    """Is that far more in an hour than usual?"""
    return now_nano >= LEAST_NANO and now_nano >= TIMES * usual_nano
