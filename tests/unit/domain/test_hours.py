"""Hours of a zone's clock, also on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tuckshop.domain.hours import hour_at

US = 10**6


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * US


def hours_of(since: str, until: str, zone: str) -> list[tuple[str, int]]:
    """Ids and minutes."""
    found = []
    at_us = at(since)
    while at_us < at(until):
        span = hour_at(at_us, zone)
        assert span.end_us is not None
        assert span.start_us == at_us
        found.append((span.id, (span.end_us - span.start_us) // (60 * US)))
        at_us = span.end_us
    return found


@pytest.mark.parametrize(
    ("zone", "since", "until", "count"),
    [
        ("Europe/Berlin", "2026-10-24T22:00", "2026-10-25T23:00", 25),
        ("Europe/Berlin", "2026-03-28T23:00", "2026-03-29T22:00", 23),
        ("Asia/Kathmandu", "2026-11-23T18:15", "2026-11-24T18:15", 24),
        ("Asia/Kolkata", "2026-11-23T18:30", "2026-11-24T18:30", 24),
    ],
)
def test_a_day_has_as_many_hours_as_its_clocks_show(
    zone: str, since: str, until: str, count: int
) -> None:
    found = hours_of(since, until, zone)

    assert [minutes for _, minutes in found] == [60] * count
    assert len({id_ for id_, _ in found}) == count


def test_the_hour_that_comes_twice_is_two() -> None:
    ids = [id_ for id_, _ in hours_of("2026-10-25T00:00", "2026-10-25T02:00", "Europe/Berlin")]

    assert ids == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]


def test_an_hour_ends_where_clocks_change_in_the_middle_of_it() -> None:
    """Lord Howe Island goes back by half an hour at 2:00 and repeats 1:30 to 2:00; forward from 2:00 to 2:30."""
    back = hours_of("2026-04-04T14:00", "2026-04-04T16:30", "Australia/Lord_Howe")
    forward = hours_of("2026-10-03T14:30", "2026-10-03T17:00", "Australia/Lord_Howe")

    assert back == [
        ("2026-04-05T01:00+11:00", 60),
        ("2026-04-05T01:30+10:30", 30),
        ("2026-04-05T02:00+10:30", 60),
    ]
    assert [minutes for _, minutes in forward] == [60, 30, 60]
