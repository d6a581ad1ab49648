"""The made-up week: in order, in the past, enough to look at and quick to write down."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tuckshop.demo.story import (
    ASSISTANT,
    DAYS,
    KEEN,
    MODELS,
    NAMES,
    SHOWN,
    SILENT,
    email,
    external_id,
    week,
)

NOW_US = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()) * 1_000_000
DAY_US = 86_400_000_000


@settings(max_examples=20)
@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_a_week_is_in_the_past_and_in_order_at_whatever_time(now_s: int) -> None:
    now_us = NOW_US + now_s * 100_000

    calls = week(now_us)

    assert all(now_us - (DAYS + 1) * DAY_US < call.at_us < now_us for call in calls)
    assert all(earlier.at_us <= later.at_us for earlier, later in pairwise(calls))


def test_a_week_is_a_few_hundred_calls_of_nearly_everybody() -> None:
    calls = week(NOW_US)

    assert 200 <= len(calls) <= 900
    callers = {call.student for call in calls}
    assert callers.isdisjoint(SILENT)
    assert len(callers) >= 24
    assert {*KEEN, SHOWN, ASSISTANT} <= callers
    assert {call.model for call in calls} == set(MODELS)
    assert {call.ending for call in calls} == {"ok", "left", "failed"}


def test_the_week_is_the_same_every_time() -> None:
    assert week(NOW_US) == week(NOW_US)


def test_there_are_thirty_students_whose_roles_do_not_meet() -> None:
    assert len(set(NAMES)) == 30
    assert len({ASSISTANT, SHOWN, *KEEN, *SILENT}) == 2 + len(KEEN) + len(SILENT)
    assert external_id(0) == "s01"
    assert email(0) == "ada.brandt@example.org"
