from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuckshop.domain.limits import Calendar, Rolling
from tuckshop.domain.windows import (
    Span,
    SpanMemo,
    ZoneHistory,
    check_zone,
    end_of_day_us,
    free_at_us,
    is_live,
    span_at,
    subwindow_start,
    subwindow_us,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_US = 3_600 * 1_000_000
_KINDS: list[Calendar] = ["day", "week", "month", "year"]
# Half hours, quarters, whole days skipped, midnights that do not exist, clocks set back over midnight.
_ODD_ZONES = [
    "Africa/Casablanca",
    "America/Asuncion",
    "America/Havana",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Fakaofo",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
    "UTC",
]
_ALL_ZONES = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """An instant in UTC, in microseconds."""
    instant = datetime(year, month, day, hour, minute, tzinfo=UTC)
    return (instant - _EPOCH) // timedelta(microseconds=1)


zones = st.sampled_from(_ODD_ZONES) | st.sampled_from(_ALL_ZONES).filter(
    lambda name: name != "Factory"
)
kinds = st.sampled_from(_KINDS)
instants = st.integers(at(1990, 1, 1), at(2060, 1, 1))


@st.composite
def histories(draw: st.DrawFn) -> ZoneHistory:
    """Any number of changes; some of them within one window, some at its very edge."""
    history = ZoneHistory.of(draw(zones))
    changed_us = draw(instants)
    for name in draw(st.lists(zones, max_size=5)):
        history = history.changed(changed_us, name)
        if draw(st.booleans()):
            changed_us += draw(st.integers(0, 400 * 24 * _HOUR_US))
        else:
            changed_us = span_at(draw(kinds), changed_us, history).end_us or 0
    return history


def neighbours(kind: Calendar, at_us: int, zone: ZoneHistory) -> tuple[Span, Span, Span]:
    here = span_at(kind, at_us, zone)
    assert here.end_us is not None
    return span_at(kind, here.start_us - 1, zone), here, span_at(kind, here.end_us, zone)


@given(kind=kinds, at_us=instants, zone=histories())
@settings(max_examples=200, deadline=None)
def test_windows_touch_each_other_and_have_ids_of_their_own(
    kind: Calendar, at_us: int, zone: ZoneHistory
) -> None:
    """M1, section 6: ids are contiguous and unique, across DST, month ends and changes of the zone."""
    before, here, after = neighbours(kind, at_us, zone)

    assert here.end_us is not None
    assert here.start_us <= at_us < here.end_us
    assert before.end_us == here.start_us
    assert here.end_us == after.start_us
    assert before.id < here.id < after.id
    assert span_at(kind, here.start_us, zone) == here == span_at(kind, here.end_us - 1, zone)


@given(kind=kinds, at_us=instants, name=zones)
@settings(max_examples=200, deadline=None)
def test_a_window_begins_when_the_local_date_first_reaches_its_first(
    kind: Calendar, at_us: int, name: str
) -> None:
    zone = ZoneInfo(name)

    span = span_at(kind, at_us, ZoneHistory.of(name))

    begin = (_EPOCH + timedelta(microseconds=span.start_us)).astimezone(zone)
    just_before = (_EPOCH + timedelta(microseconds=span.start_us - 1)).astimezone(zone)
    label = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}[kind]
    assert begin.strftime(label) == span.id
    assert just_before.strftime(label) < span.id


@given(kind=kinds, at_us=instants, zone=histories(), name=zones, later_us=instants)
@settings(max_examples=200, deadline=None)
def test_a_change_of_zone_moves_no_window_that_has_begun(
    kind: Calendar, at_us: int, zone: ZoneHistory, name: str, later_us: int
) -> None:
    changed_us = max(at_us, zone.changes[-1][0])
    running = span_at(kind, changed_us, zone)

    changed = zone.changed(changed_us, name)

    assert span_at(kind, changed_us, changed) == running
    assert span_at(kind, at_us, changed) == span_at(kind, at_us, zone)
    assert running.end_us is not None
    following = span_at(kind, running.end_us, changed)
    assert following.start_us == running.end_us
    if later_us >= following.start_us + 800 * 24 * _HOUR_US:
        assert span_at(kind, later_us, changed) == span_at(kind, later_us, ZoneHistory.of(name))


@pytest.mark.parametrize(
    ("kind", "zone", "instant", "expected_id", "hours"),
    [
        ("day", "Europe/Berlin", at(2026, 3, 29, 12), "2026-03-29", 23),
        ("day", "Europe/Berlin", at(2026, 10, 25, 12), "2026-10-25", 25),
        ("day", "Australia/Lord_Howe", at(2026, 4, 4, 20), "2026-04-05", 24.5),
        ("month", "Europe/Berlin", at(2026, 11, 30, 22, 59), "2026-11", 30 * 24),
        ("month", "Europe/Berlin", at(2026, 11, 30, 23), "2026-12", 31 * 24),
        ("month", "UTC", at(2028, 2, 29, 23, 59), "2028-02", 29 * 24),
        ("month", "UTC", at(2100, 2, 28, 23, 59), "2100-02", 28 * 24),
        ("week", "UTC", at(2026, 12, 31), "2026-W53", 7 * 24),
        ("week", "UTC", at(2027, 1, 3, 23, 59), "2026-W53", 7 * 24),
        ("week", "UTC", at(2027, 1, 4), "2027-W01", 7 * 24),
        ("week", "UTC", at(2024, 12, 30), "2025-W01", 7 * 24),
        ("year", "UTC", at(2028, 12, 31, 23), "2028", 366 * 24),
        ("year", "Pacific/Kiritimati", at(2025, 12, 31, 10), "2026", 365 * 24),
    ],
)
def test_a_window_is_as_long_as_it_is_where_people_live(
    kind: Calendar, zone: str, instant: int, expected_id: str, hours: float
) -> None:
    span = span_at(kind, instant, ZoneHistory.of(zone))

    assert span.id == expected_id
    assert span.end_us is not None
    assert (span.end_us - span.start_us) / _HOUR_US == hours


@pytest.mark.parametrize(
    ("day", "zone", "ends"),
    [
        (date(2026, 12, 31), "Europe/Berlin", "2026-12-31T23:00:00+00:00"),
        (date(2026, 10, 25), "Europe/Berlin", "2026-10-25T23:00:00+00:00"),  # of 25 hours
        (date(2018, 11, 3), "America/Sao_Paulo", "2018-11-04T03:00:00+00:00"),  # no midnight
        (date(2011, 12, 29), "Pacific/Apia", "2011-12-30T10:00:00+00:00"),  # the next was skipped
    ],
)
def test_a_day_ends_where_the_next_one_begins(day: date, zone: str, ends: str) -> None:
    expected = datetime.fromisoformat(ends)

    assert end_of_day_us(day, zone) == int(expected.timestamp()) * 1_000_000


def test_a_day_without_midnight_begins_at_its_first_instant() -> None:
    """São Paulo set its clocks from 00:00 to 01:00 on 2017-10-15."""
    span = span_at("day", at(2017, 10, 15, 12), ZoneHistory.of("America/Sao_Paulo"))

    assert span == Span("2017-10-15", at(2017, 10, 15, 3), at(2017, 10, 16, 2))


def test_a_gap_that_begins_before_midnight_begins_the_day_at_once() -> None:
    """Toronto set its clocks from 23:30 to 00:30 on 1919-03-30."""
    span = span_at("day", at(1919, 3, 31, 12), ZoneHistory.of("America/Toronto"))

    assert span == Span("1919-03-31", at(1919, 3, 31, 4, 30), at(1919, 4, 1, 4))


def test_a_day_that_is_reached_twice_does_not_reopen_the_one_before() -> None:
    """St John's set its clocks back from 00:01 to 23:01 on 2010-11-07 (section 6: never reopens)."""
    zone = ZoneHistory.of("America/St_Johns")
    midnight_us = at(2010, 11, 7, 2, 30)

    assert span_at("day", midnight_us - 1, zone).id == "2010-11-06"
    assert span_at("day", midnight_us, zone).id == "2010-11-07"
    assert span_at("day", midnight_us + _HOUR_US // 2, zone).id == "2010-11-07"


def test_a_day_that_a_zone_skips_has_no_window() -> None:
    """Samoa went from 2011-12-29 straight to 2011-12-31."""
    _, here, after = neighbours("day", at(2011, 12, 30, 9), ZoneHistory.of("Pacific/Apia"))

    assert (here.id, after.id) == ("2011-12-29", "2011-12-31")
    assert here.end_us == after.start_us == at(2011, 12, 30, 10)


def test_after_a_change_of_zone_the_next_window_begins_where_the_running_one_ends() -> None:
    zone = ZoneHistory.of("Europe/Berlin").changed(at(2026, 3, 15), "America/New_York")

    assert span_at("month", at(2026, 3, 20), zone).end_us == at(2026, 3, 31, 22)
    assert span_at("month", at(2026, 3, 31, 23), zone) == Span(
        "2026-04", at(2026, 3, 31, 22), at(2026, 5, 1, 4)
    )
    assert zone.current == "America/New_York"


def test_a_zone_that_was_changed_again_before_its_first_window_never_came_into_force() -> None:
    berlin = ZoneHistory.of("Europe/Berlin")
    straight = berlin.changed(at(2026, 3, 16), "UTC")
    detour = berlin.changed(at(2026, 3, 15), "Asia/Tokyo").changed(at(2026, 3, 16), "UTC")

    for day in range(1, 60):
        instant = at(2026, 3, 1) + day * 24 * _HOUR_US
        assert span_at("month", instant, detour) == span_at("month", instant, straight)


def test_changing_across_the_date_line_skips_a_day_that_is_already_over() -> None:
    zone = ZoneHistory.of("Etc/GMT+12").changed(at(2026, 3, 15, 13), "Pacific/Kiritimati")

    _, here, after = neighbours("day", at(2026, 3, 15, 13), zone)

    assert here == Span("2026-03-15", at(2026, 3, 15, 12), at(2026, 3, 16, 12))
    assert after == Span("2026-03-17", at(2026, 3, 16, 12), at(2026, 3, 17, 10))


def test_total_is_one_window_without_end() -> None:
    assert span_at("total", at(2026, 1, 1), ZoneHistory.of("UTC")) == Span("total", 0, None)


def test_a_zone_history_stays_in_order_and_keeps_only_changes() -> None:
    history = ZoneHistory.of("UTC").changed(5, "Asia/Tokyo")

    assert history.changed(9, "Asia/Tokyo") is history
    assert history.changed(3, "UTC").changes == ((0, "UTC"), (5, "Asia/Tokyo"), (5, "UTC"))
    with pytest.raises(ValueError, match="begins at 0"):
        ZoneHistory(())
    with pytest.raises(ValueError, match="forward"):
        ZoneHistory(((0, "UTC"), (5, "Asia/Tokyo"), (4, "UTC")))


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"]
)
def test_zones_of_the_database_are_taken(name: str) -> None:
    check_zone(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "Europe", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe/../UTC", "UTC\n"),
        *("localtime", "posixrules", "right/UTC", "posix/UTC", "Factory", "zone.tab", "München"),
        "x" * 5_000,
    ],
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone"):
        check_zone(name)


@given(
    asked=st.lists(
        st.tuples(st.sampled_from(_KINDS), instants, st.sampled_from(_ODD_ZONES)), max_size=20
    )
)
@settings(deadline=None)
def test_a_memo_answers_as_the_function_does(asked: list[tuple[Calendar, int, str]]) -> None:
    memo = SpanMemo(max_entries=3)

    for kind, at_us, name in [*asked, *asked]:
        zone = ZoneHistory.of(name)
        assert memo.span_at(kind, at_us, zone) == span_at(kind, at_us, zone)


# ── rolling windows ──────────────────────────────────────────────────────────────────────────────────────────────


rollings = st.integers(1, 400_000).map(lambda seconds: Rolling.of(seconds, "second"))


@given(
    rolling=st.sampled_from(
        [Rolling.of(1, "second"), Rolling.of(1, "minute"), Rolling.of(5, "hour")]
    ),
    calls=st.lists(st.tuples(st.floats(0, 1.2), st.integers(0, 10)), max_size=60),
    offset_us=st.integers(0, 10**15),
    amount=st.integers(0, 30),
)
def test_no_stretch_of_a_rolling_window_ever_holds_more_than_the_amount(
    rolling: Rolling, calls: list[tuple[float, int]], offset_us: int, amount: int
) -> None:
    """M1, section 6: at minute edges too, wherever the stretch begins, both ends counted in."""
    length_us = rolling.seconds * 1_000_000
    used: dict[int, int] = {}
    admitted: list[tuple[int, int]] = []
    now_us = offset_us
    for gap, wanted in calls:
        now_us += int(gap * length_us)
        live = sum(count for start, count in used.items() if is_live(rolling, start, now_us))
        if live + wanted <= amount:
            start = subwindow_start(rolling, now_us)
            used[start] = used.get(start, 0) + wanted
            admitted.append((now_us, wanted))

    for begin_us, _ in admitted:
        stretch = [n for at_us, n in admitted if begin_us <= at_us <= begin_us + length_us]
        assert sum(stretch) <= amount


@given(rolling=rollings, now_us=st.integers(0, 10**16))
def test_a_subwindow_is_a_sixtieth_and_at_most_61_are_live(rolling: Rolling, now_us: int) -> None:
    length_us, part_us = rolling.seconds * 1_000_000, subwindow_us(rolling)
    newest = subwindow_start(rolling, now_us)

    assert 0 <= part_us * 60 - length_us < 60
    assert newest <= now_us < newest + part_us
    assert subwindow_start(rolling, newest) == newest
    assert is_live(rolling, newest, now_us)
    assert not is_live(rolling, newest - 61 * part_us, now_us)


@given(rolling=rollings, at_us=st.integers(0, 10**16))
def test_a_subwindow_counts_whole_until_its_youngest_instant_has_left(
    rolling: Rolling, at_us: int
) -> None:
    start = subwindow_start(rolling, at_us)
    free_us = free_at_us(rolling, start)

    assert is_live(rolling, start, free_us - 1)
    assert not is_live(rolling, start, free_us)
    assert free_us == start + subwindow_us(rolling) + rolling.seconds * 1_000_000
