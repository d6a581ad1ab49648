"""The alarms on sums: nothing charged for five minutes, too much guessed within a day (sections 5 and 14)."""

from __future__ import annotations

import pytest

from tests.support.fake_clock import FakeClock
from tuckshop.charge_watch import ChargeWatch, Sums
from tuckshop.domain.watch import Alarm


class Watched:
    """A watch over sums that the test sets."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sums = Sums()
        self.alarms: list[Alarm] = []
        self.watch = ChargeWatch(self.clock, read=lambda: self.sums, alarm=self.alarms.append)

    def pass_s(self, seconds: int, **more_per_minute: int) -> None:
        """Time passes, with *more_per_minute* of each sum; looked at every ten seconds."""
        for second in range(0, seconds, 10):
            if second % 60 == 0:
                self.sums = Sums(
                    *(
                        value + more_per_minute.get(name, 0)
                        for name, value in self.sums._asdict().items()
                    )
                )
            self.watch.look()
            self.clock.advance(10)
        self.watch.look()


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_nothing_is_wrong_while_something_is_charged(watched: Watched) -> None:
    watched.pass_s(3_600, dispatched=100, settled=100, charged=1)

    assert watched.alarms == []


@pytest.mark.parametrize("settled", [0, 20], ids=["nothing settled", "only zero charges"])
def test_calls_of_which_none_is_charged_raise_the_alarm_every_five_minutes(
    watched: Watched, settled: int, caplog: pytest.LogCaptureFixture
) -> None:
    watched.pass_s(280, dispatched=20, settled=settled)
    assert watched.alarms == []

    watched.pass_s(60, dispatched=20, settled=settled)
    assert watched.alarms == ["no_charges"]
    assert "ALARM: no_charges" in caplog.text

    watched.pass_s(400, dispatched=20, settled=settled)
    assert watched.alarms == ["no_charges"] * 2


def test_a_few_long_calls_are_no_alarm(watched: Watched) -> None:
    watched.pass_s(60, dispatched=9)
    watched.pass_s(3_600)

    assert watched.alarms == []


def test_a_quiet_night_is_no_alarm(watched: Watched) -> None:
    watched.pass_s(120, dispatched=100, settled=100, charged=100)
    watched.pass_s(36_000)
    watched.pass_s(120, dispatched=100)

    assert watched.alarms == []


def test_a_share_that_is_guessed_is_told_once_a_day(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.pass_s(60, dispatched=99, settled=99, charged=99, guessed=2)
    assert watched.alarms == [], "too few to make a share"

    watched.pass_s(7_200, dispatched=50, settled=50, charged=50, guessed=1)
    assert watched.alarms == ["estimated_share"]
    assert "ALARM: estimated_share" in caplog.text

    watched.pass_s(86_400, dispatched=50, settled=50, charged=50, guessed=1)
    assert watched.alarms == ["estimated_share"] * 2


def test_one_in_a_hundred_may_be_guessed(watched: Watched) -> None:
    watched.pass_s(7_200, dispatched=100, settled=100, charged=100, guessed=1)

    assert watched.alarms == []
