"""
When a budget ends at the pace of the last days: one division, told with its assumption.

Nothing is smoothed or fitted. A class works in bursts, and a model that guesses the next one would only hide that
nobody knows; who reads the sentence knows what is due next week.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from tuckshop.domain.limits import Limit
from tuckshop.domain.money import price_tag
from tuckshop.domain.wording import counted
from tuckshop.domain.worst_case import MONTHS

DAY_US: Final = 86_400 * 1_000_000
LOOK_BACK_DAYS: Final = 7
OBSERVED_MIN_US: Final = DAY_US  # with less to go by nothing is said
FORETOLD_MAX_US: Final = 3_660 * DAY_US
_CENT: Final = 10_000_000  # nano-USD
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Outlook = Literal["ends", "lasts", "used_up", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What was spent lately."""

    spent_nano: int
    over_us: int  # of the look-back, the part in which there were calls at all

    @property
    def per_day_nano(self) -> int | None:
        """Nano-USD a day, rounded up; None: too little is known."""
        if self.over_us < OBSERVED_MIN_US:
            return None
        return -(-self.spent_nano * DAY_US // self.over_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How a budget goes on at the pace of now."""

    outlook: Outlook
    per_day_nano: int | None
    ends_at_us: int | None  # where it ends before it renews


def forecast(*, remaining_nano: int, renews_at_us: int | None, pace: Pace, now_us: int) -> Forecast:
    """
    Whether and when a budget ends.

    Args:
        remaining_nano: What is neither used nor held.
        renews_at_us: None: never, it is a total.
    """
    per_day = pace.per_day_nano
    if remaining_nano <= 0:
        return Forecast(outlook="used_up", per_day_nano=per_day, ends_at_us=None)
    if per_day is None:
        return Forecast(outlook="unknown", per_day_nano=None, ends_at_us=None)
    if per_day:
        left_us = remaining_nano * DAY_US // per_day
        ends_at_us = now_us + left_us
        if left_us <= FORETOLD_MAX_US and (renews_at_us is None or ends_at_us < renews_at_us):
            return Forecast(outlook="ends", per_day_nano=per_day, ends_at_us=ends_at_us)
    return Forecast(outlook="lasts", per_day_nano=per_day, ends_at_us=None)


def sentence(
    found: Forecast, *, limit: Limit, whose: str, renews_at_us: int | None, now_us: int, zone: str
) -> str:
    """
    ``At the pace of the last 7 days ($1.23 a day) the $50/month of all ends on 21 Nov, 9 days before it renews.``

    Args:
        whose: "of all", "of all groups".
        zone: By which days are told.
    """
    day = _days_of(ZoneInfo(zone), now_us)
    budget = f"the {limit} {whose}"
    renews = "" if renews_at_us is None else f" It renews on {day(renews_at_us)}."
    match found.outlook:
        case "used_up":
            return f"{budget[0].upper()}{budget[1:]} is used up.{renews}"
        case "unknown":
            return f"Too little data: less than a day of calls says nothing about {budget}."
        case _:
            pass
    assert found.per_day_nano is not None
    pace = f"At the pace of the last {LOOK_BACK_DAYS} days ({_rounded(found.per_day_nano)} a day) "
    if found.outlook == "lasts":
        if renews_at_us is None:
            return f"{pace}{budget} does not end within ten years."
        return f"{pace}{budget} does not end before it renews on {day(renews_at_us)}."
    assert found.ends_at_us is not None
    if renews_at_us is None:
        return f"{pace}{budget} ends on {day(found.ends_at_us)}."
    early = (renews_at_us - found.ends_at_us) // DAY_US
    before = "less than a day" if early < 1 else counted(early, "day")
    return f"{pace}{budget} ends on {day(found.ends_at_us)}, {before} before it renews."


def _rounded(nano: int) -> str:
    """Money as a forecast says it: to the cent, and only what is less than one exactly."""
    if nano >= _CENT:
        return price_tag((nano + _CENT // 2) // _CENT * _CENT)
    return price_tag(nano)


def _days_of(zone: ZoneInfo, now_us: int) -> Callable[[int], str]:
    def local(at_us: int) -> datetime:
        return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)

    def told(at_us: int) -> str:
        at = local(at_us)
        year = "" if at.year == local(now_us).year else f" {at.year}"
        return f"{at.day} {MONTHS[at.month - 1]}{year}"

    return told
