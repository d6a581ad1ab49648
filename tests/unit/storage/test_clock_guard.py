from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tuckshop.storage.clock_guard import ClockGuard, crosses_day

SECOND = 1_000_000
NOON = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()) * SECOND
DAY = 86_400 * SECOND


@dataclass
class TwoClocks:
    wall_us: int = NOON
    boot: float = 1000.0

    def now_us(self) -> int:
        return self.wall_us

    def monotonic_s(self) -> float:
        return self.boot

    def boot_s(self) -> float:
        return self.boot

    def pass_s(self, seconds: float) -> None:
        self.boot += seconds
        self.wall_us += int(seconds * SECOND)

    def jump_s(self, seconds: float) -> None:
        self.wall_us += int(seconds * SECOND)


def test_time_that_passes_is_given_out() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)

    assert guard.read().now_us == NOON
    clock.pass_s(90)

    assert guard.read().now_us == NOON + 90 * SECOND
    assert guard.mark_us == NOON + 90 * SECOND


def test_a_small_step_back_holds_the_mark_and_goes_on() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    guard.read()

    clock.jump_s(-120)
    reading = guard.read()

    assert reading.now_us == NOON
    assert reading.unfit is None


def test_a_big_step_back_is_not_fit_until_the_mark_is_passed() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    guard.read()

    clock.jump_s(-121)
    first, second = guard.read(), guard.read()
    clock.pass_s(122)
    later = guard.read()

    assert first.unfit is not None
    assert first.now_us == NOON
    assert first.event is not None
    assert second.event is None, "told once"
    assert later.unfit is None
    assert later.now_us == NOON + SECOND


def test_a_start_before_the_stored_mark_is_not_fit() -> None:
    guard = ClockGuard(TwoClocks(), NOON + 3_600 * SECOND)

    reading = guard.read()

    assert reading.unfit is not None
    assert reading.now_us == NOON + 3_600 * SECOND


def test_a_start_long_after_the_stored_mark_is_accepted_and_told() -> None:
    guard = ClockGuard(TwoClocks(), NOON - 40 * DAY)

    reading = guard.read()

    assert reading.unfit is None
    assert reading.now_us == NOON
    assert reading.event is not None


def test_a_leap_across_midnight_that_the_boot_clock_denies_is_not_fit() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    guard.read()

    clock.jump_s(13 * 3_600)
    reading = guard.read()

    assert reading.unfit is not None
    assert reading.now_us == NOON, "the window does not close"


def test_a_leap_that_is_taken_back_is_fit_again() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    guard.read()
    clock.jump_s(13 * 3_600)
    guard.read()

    clock.pass_s(30)
    clock.jump_s(-13 * 3_600)
    reading = guard.read()

    assert reading.unfit is None
    assert reading.now_us == NOON + 30 * SECOND


def test_a_leap_within_a_day_is_accepted_and_told() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    guard.read()

    clock.jump_s(3_600)
    reading = guard.read()

    assert reading.unfit is None
    assert reading.now_us == NOON + 3_600 * SECOND
    assert reading.event is not None


def test_a_leap_of_five_minutes_across_midnight_is_accepted() -> None:
    clock = TwoClocks(wall_us=NOON + 12 * 3_600 * SECOND - SECOND)
    guard = ClockGuard(clock)
    guard.read()

    clock.jump_s(300)

    assert guard.read().unfit is None


def test_sleep_is_not_a_leap() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    guard.read()

    clock.pass_s(3 * 86_400)

    assert guard.read().unfit is None


def test_the_edge_of_a_day_is_that_of_any_zone_in_use() -> None:
    # On the Chatham Islands (UTC+13:45 in summer) these are 22:45 and 01:45 of the next day.
    before, after = NOON - 3 * 3_600 * SECOND, NOON

    assert not crosses_day(before, after, {"UTC"})
    assert crosses_day(before, after, {"UTC", "Pacific/Chatham"})


def test_midnight_that_an_hour_change_moves_is_still_an_edge() -> None:
    # Berlin leaves summer time on 2026-10-25; its next midnight is 23:00 UTC.
    midnight = int(datetime(2026, 10, 25, 23, tzinfo=UTC).timestamp()) * SECOND

    assert crosses_day(midnight - SECOND, midnight, {"Europe/Berlin"})
    assert not crosses_day(midnight - 3_600 * SECOND, midnight - SECOND, {"Europe/Berlin"})


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["pass", "jump"]),
            st.floats(min_value=-40 * 86_400, max_value=40 * 86_400),
        ),
        max_size=30,
    )
)
def test_time_never_goes_back_and_an_unfit_clock_moves_nothing(
    steps: list[tuple[str, float]],
) -> None:
    """Section 6: a window once closed never reopens, whatever the wall clock does."""
    clock = TwoClocks()
    guard = ClockGuard(clock)
    last = guard.read().now_us

    for kind, seconds in steps:
        if kind == "pass":
            clock.pass_s(abs(seconds))
        else:
            clock.jump_s(seconds)
        reading = guard.read()

        assert reading.now_us >= last
        assert reading.now_us == guard.mark_us
        if reading.unfit is not None:
            assert reading.now_us == last
        else:
            assert reading.now_us >= clock.wall_us
        last = reading.now_us


@given(jump=st.integers(min_value=1, max_value=120), count=st.integers(min_value=1, max_value=5))
def test_small_steps_back_never_stop_it(jump: int, count: int) -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    guard.read()

    for _ in range(count):
        clock.jump_s(-jump)
        assert guard.read().unfit is None
        clock.pass_s(jump)
        assert guard.read().unfit is None


def test_an_accepted_clock_is_gone_by() -> None:
    """Section 6: back by an hour, which somebody says is right."""
    clock = TwoClocks()
    guard = ClockGuard(clock)
    guard.read()
    clock.jump_s(-3_600)
    assert guard.read().unfit is not None
    assert guard.unfit is not None

    guard.accept(*guard.look())

    reading = guard.read()
    assert (reading.now_us, reading.unfit) == (NOON - 3_600 * SECOND, None)
    clock.pass_s(10)
    assert guard.read().now_us == NOON - 3_590 * SECOND


def test_a_leap_that_was_accepted_is_no_leap_any_more() -> None:
    clock = TwoClocks()
    guard = ClockGuard(clock)
    guard.read()
    clock.jump_s(86_400)
    assert guard.read().unfit is not None

    guard.accept(*guard.look())

    assert guard.read().unfit is None
    assert guard.mark_us == NOON + DAY
