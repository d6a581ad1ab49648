from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.rules.opening_hours import Hours, is_open, opens_next, parse_hours

BERLIN = "Europe/Berlin"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Mon-Fri 08:00-18:00", "Mon-Fri 08:00-18:00"),
        ("  mon-FRI   08:00-18:00 ", "Mon-Fri 08:00-18:00"),
        ("Sat,Sun 22:00-02:00", "Sat,Sun 22:00-02:00"),
        ("Fri-Mon 00:00-24:00", "Mon,Fri-Sun 00:00-24:00"),
        ("Wed 09:30-10:00", "Wed 09:30-10:00"),
    ],
)
def test_hours_are_read_and_printed_in_one_form(text: str, printed: str) -> None:
    assert str(parse_hours(text)) == printed
    assert parse_hours(printed) == parse_hours(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "Mon", "08:00-18:00", "Mon 8-18", "Mon 08:00-08:00", "Mon 24:00-25:00"),
        *("Mo 08:00-18:00", "Mon 08:60-09:00", "Mon 08:00-24:01", "Mon- 08:00-09:00"),
        *("Mon٠ 08:00-09:00", "Mon 0８:00-09:00"),  # noqa: RUF001
    ],
)
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|times of a day|begins"):
        parse_hours(text)


@pytest.mark.parametrize(
    ("at", "is_open_then"),
    [
        ("2026-03-27T06:59:59+00:00", False),  # Friday, 07:59:59 in winter time
        ("2026-03-27T07:00:00+00:00", True),
        ("2026-03-30T05:59:59+00:00", False),  # Monday, 07:59:59 in summer time
        ("2026-03-30T06:00:00+00:00", True),
        ("2026-03-30T15:59:59+00:00", True),
        ("2026-03-30T16:00:00+00:00", False),
        ("2026-03-28T10:00:00+00:00", False),  # Saturday
    ],
)
def test_they_follow_the_clocks_on_the_wall(at: str, is_open_then: bool) -> None:
    assert is_open((parse_hours("Mon-Fri 08:00-18:00"),), us(at), BERLIN) == is_open_then


def test_a_night_goes_on_past_midnight_and_past_the_week() -> None:
    night = (parse_hours("Sun 22:00-02:00"),)

    assert is_open(night, us("2026-11-22T22:30:00+01:00"), BERLIN)
    assert is_open(night, us("2026-11-23T01:59:00+01:00"), BERLIN)
    assert not is_open(night, us("2026-11-23T02:00:00+01:00"), BERLIN)
    assert not is_open(night, us("2026-11-22T01:00:00+01:00"), BERLIN)


def test_it_tells_when_it_opens_next() -> None:
    hours = (parse_hours("Mon-Fri 08:00-18:00"), parse_hours("Sat 10:00-12:00"))

    at = opens_next(hours, us("2026-03-27T20:00:00+01:00"), BERLIN)
    assert str(at) == "2026-03-28 10:00:00+01:00"
    at = opens_next(hours, us("2026-03-28T13:00:00+01:00"), BERLIN)
    assert str(at) == "2026-03-30 08:00:00+02:00"
    assert opens_next((), 0, BERLIN) is None


@given(
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.integers(1_700_000_000, 1_900_000_000),
)
def test_when_it_is_told_to_open_it_does(days: set[int], start: int, end: int, at_s: int) -> None:
    if start == end:
        return
    hours = (Hours(frozenset(days), start, end),)
    at = opens_next(hours, at_s * 1_000_000, BERLIN)

    assert at is not None
    local = at.hour * 60 + at.minute
    is_skipped = local != start  # by clocks that were put forward over it
    assert is_skipped or is_open(hours, int(at.timestamp() * 1_000_000), BERLIN)
    assert at.timestamp() > at_s
