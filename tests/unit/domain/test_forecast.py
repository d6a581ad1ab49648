"""When a budget ends at the pace of the last days, and how that is said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.forecast import DAY_US, Forecast, Pace, forecast, sentence
from tuckshop.domain.limits import parse_limit

DOLLAR = 10**9


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**6


NOW = at("2026-11-14T12:00")
RENEWS = at("2026-11-30T23:00")  # the first of December in Berlin


def told(found: Forecast, *, limit: str = "$50/month", renews: int | None = RENEWS) -> str:
    return sentence(
        found,
        limit=parse_limit(limit),
        whose="of all",
        renews_at_us=renews,
        now_us=NOW,
        zone="Europe/Berlin",
    )


def a_week_of(dollars: float) -> Pace:
    return Pace(spent_nano=round(dollars * DOLLAR), over_us=7 * DAY_US)


def test_a_budget_that_ends_early_is_told_with_its_day() -> None:
    found = forecast(
        remaining_nano=21 * DOLLAR, renews_at_us=RENEWS, pace=a_week_of(21), now_us=NOW
    )

    assert found == Forecast(outlook="ends", per_day_nano=3 * DOLLAR, ends_at_us=NOW + 7 * DAY_US)
    assert told(found) == (
        "At the pace of the last 7 days ($3.00 a day) the $50/month of all ends on 21 Nov, 9 days before it renews."
    )


def test_a_budget_that_lasts_and_one_that_is_used_up() -> None:
    lasts = forecast(remaining_nano=49 * DOLLAR, renews_at_us=RENEWS, pace=a_week_of(7), now_us=NOW)
    gone = forecast(remaining_nano=0, renews_at_us=RENEWS, pace=a_week_of(7), now_us=NOW)
    idle = forecast(remaining_nano=1, renews_at_us=RENEWS, pace=a_week_of(0), now_us=NOW)

    assert told(lasts).endswith("the $50/month of all does not end before it renews on 1 Dec.")
    assert told(gone) == "The $50/month of all is used up. It renews on 1 Dec."
    assert idle.outlook == "lasts"


def test_of_less_than_a_day_nothing_is_said() -> None:
    """An hour of the first exercise is no pace of a month."""
    pace = Pace(spent_nano=5 * DOLLAR, over_us=DAY_US - 1)

    found = forecast(remaining_nano=DOLLAR, renews_at_us=RENEWS, pace=pace, now_us=NOW)

    assert (found.outlook, found.per_day_nano, found.ends_at_us) == ("unknown", None, None)
    assert told(found).startswith("Too little data")


def test_a_total_ends_in_another_year_or_not_within_ten() -> None:
    ends = forecast(remaining_nano=100 * DOLLAR, renews_at_us=None, pace=a_week_of(7), now_us=NOW)
    never = forecast(
        remaining_nano=10**9 * DOLLAR, renews_at_us=None, pace=a_week_of(7), now_us=NOW
    )

    assert told(ends, limit="$200 total", renews=None).endswith("ends on 22 Feb 2027.")
    assert told(never, limit="$200 total", renews=None).endswith("does not end within ten years.")


@pytest.mark.parametrize(
    ("hours_before", "words"), [(1, "less than a day"), (24, "1 day"), (49, "2 days")]
)
def test_how_early_it_ends_is_told_in_whole_days(hours_before: int, words: str) -> None:
    ends_at_us = RENEWS - hours_before * 3600 * 10**6
    found = Forecast(outlook="ends", per_day_nano=DOLLAR, ends_at_us=ends_at_us)

    assert told(found).endswith(f", {words} before it renews.")


@given(
    remaining=st.integers(1, 10**14), spent=st.integers(0, 10**14), over=st.integers(1, 7 * DAY_US)
)
def test_what_is_foretold_spends_no_more_than_remains(
    remaining: int, spent: int, over: int
) -> None:
    pace = Pace(spent_nano=spent, over_us=over)

    found = forecast(remaining_nano=remaining, renews_at_us=RENEWS, pace=pace, now_us=NOW)

    if found.outlook == "ends":
        assert found.ends_at_us is not None
        assert found.per_day_nano is not None
        assert NOW <= found.ends_at_us < RENEWS
        assert (found.ends_at_us - NOW) * found.per_day_nano <= remaining * DAY_US
