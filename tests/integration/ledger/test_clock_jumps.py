"""Section 6, M1, M8: whatever a clock did that was accepted, every counter still is the sum of its rows."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Desk, hold, in_force, settlement
from tuckshop.domain.errors import RateLimitExceededError
from tuckshop.domain.reservation import Amounts, Granted
from tuckshop.domain.windows import ZoneHistory
from tuckshop.ledger.verify import verify_folder

LIMITS = ("3 requests/minute", "$1/day", "$5/month", "1000000 tokens/2 hours")
MINUTE, HOUR, DAY = 60, 3_600, 86_400
JUMPS = st.sampled_from([1, 20, -45, MINUTE, -HOUR, 3 * HOUR, DAY, -DAY, 40 * DAY, -40 * DAY])


def test_calls_dated_ahead_still_count_in_rolling_windows(tmp_path: Path) -> None:
    """They were made a moment ago, whatever the clock said: in no minute more than the limit."""
    desk = Desk(tmp_path)
    desk.clock.wall_us += HOUR * 1_000_000
    desk.do(*(hold("3 requests/minute") for _ in range(2)))
    desk.clock.wall_us -= HOUR * 1_000_000

    assert isinstance(desk.one(hold("3 requests/minute")), Granted)
    assert isinstance(desk.one(hold("3 requests/minute")), RateLimitExceededError)

    desk.clock.advance(2 * HOUR)
    assert all(isinstance(a, Granted) for a in desk.do(*(hold("3 requests/minute") for _ in "abc")))
    assert desk.state(in_force("3 requests/minute")).used == 3


def test_sub_windows_that_had_left_are_summed_afresh_when_the_clock_goes_back(
    tmp_path: Path,
) -> None:
    """M8: also where it was set back while the server was down."""
    desk = Desk(tmp_path)
    desk.one(hold("3 requests/minute"))
    desk.clock.wall_us += DAY * 1_000_000
    desk.one(hold("3 requests/minute"))
    desk.close()
    desk.clock.wall_us -= DAY * 1_000_000
    desk.open()

    assert isinstance(desk.one(hold("3 requests/minute")), Granted)

    assert desk.state(in_force("3 requests/minute")).used == 3
    assert isinstance(desk.one(hold("3 requests/minute")), RateLimitExceededError)
    desk.close()
    assert verify_folder(desk.folder, full=True).differences == []


@pytest.mark.parametrize(
    ("midnight", "hours"),
    [("2026-10-25", 25), ("2027-03-28", 23), ("2026-11-24", 24)],
    ids=["clocks set back", "clocks set forward", "a usual day"],
)
def test_a_day_in_a_zone_that_changes_its_hour_lasts_to_the_next_midnight_there(
    tmp_path: Path, midnight: str, hours: int
) -> None:
    """Whatever is restarted in between, no window is opened twice and none is left out."""
    zone = ZoneInfo("Europe/Berlin")
    begins = datetime.fromisoformat(midnight).replace(tzinfo=zone).timestamp()
    limit = in_force("2 requests/day", zone=ZoneHistory.of("Europe/Berlin"))
    desk = Desk(tmp_path, clock=FakeClock(round((begins - 1) * 1_000_000)))
    assert isinstance(desk.one(hold(limit)), Granted)  # the day before

    desk.clock.advance(1)
    assert [type(a) for a in desk.do(hold(limit), hold(limit), hold(limit))] == [
        Granted,
        Granted,
        RateLimitExceededError,
    ]
    for hour in range(1, hours + 1):
        desk.reopen()
        desk.clock.advance(HOUR - 1)
        assert isinstance(desk.one(hold(limit)), RateLimitExceededError), hour
        assert desk.state(limit).resets_at_us == round((begins + hours * HOUR) * 1_000_000)
        desk.clock.advance(1)
    assert isinstance(desk.one(hold(limit)), Granted)
    assert desk.state(limit).used == 1
    desk.close()
    assert [str(d) for d in verify_folder(tmp_path, full=True).differences] == []


@settings(max_examples=20, deadline=None)
@example(steps=[(1, 1, False), (DAY, 1, False), (-DAY, 1, False)])
@example(steps=[(1, 3, False), (-45, 0, False), (-DAY, 0, False), (DAY, 1, False)])
@given(steps=st.lists(st.tuples(JUMPS, st.integers(0, 3), st.booleans()), min_size=1, max_size=12))
def test_every_counter_stays_the_sum_of_its_rows(steps: list[tuple[int, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder) / "data")
        for jump, calls, restart in steps:
            desk.clock.wall_us += jump * 1_000_000
            if jump < 0:
                desk.accept_clock()
            answers = desk.do(*(hold(*LIMITS) for _ in range(calls)))
            granted = [answer for answer in answers if isinstance(answer, Granted)]
            desk.do(
                *(
                    settlement(g.request_id, Amounts(cost_nano=9, input_tokens=5, output_tokens=1))
                    for g in granted[1:]
                )
            )
            if restart:
                desk.reopen()
        desk.close()
        for full in (True, False):
            assert [str(d) for d in verify_folder(desk.folder, full=full).differences] == []
