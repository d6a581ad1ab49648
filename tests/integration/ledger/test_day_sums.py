"""The roll-up summed once more: whatever happens in whatever order, long reports say what the quarters say."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ledger_kit import ANNA, BEN, Desk, Person, hold, serving, settlement
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.reservation import Amounts
from tuckshop.domain.windows import ZoneHistory
from tuckshop.ledger import corrections
from tuckshop.ledger.day_filling import DayFilling
from tuckshop.ledger.day_sums import DAY_US, MARK, QUARTER_US, differing
from tuckshop.ledger.operations import SumDays
from tuckshop.ledger.verify import verify
from tuckshop.services.usage import read_sums
from tuckshop.storage.database import DATABASE_NAME, open_for_reading

OTHER = Person("key_c", "mem_c", "grp_b")
ZONES = ("UTC", "Europe/Berlin", "America/Caracas", "Asia/Kathmandu", "Pacific/Apia")
CALLS = st.tuples(
    st.just("call"), st.sampled_from([ANNA, BEN, OTHER]), st.sampled_from(["gpt-4o-mini", "o3"])
)
EVENTS = st.lists(
    st.one_of(
        CALLS,
        CALLS,
        st.tuples(st.just("settle"), st.integers(0, 5)),
        st.tuples(st.just("correct"), st.integers(0, 5)),
        st.tuples(
            st.just("pass"), st.sampled_from([600, 3_600, 30_000, 86_400, 200_000, 1_000_000])
        ),
        st.tuples(st.just("sum"), st.booleans()),
        st.tuples(st.just("crash")),
    ),
    min_size=8,
    max_size=30,
)
QUESTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                (),
                ("model",),
                ("group", "endpoint"),
                ("member",),
                ("day",),
                ("day", "member"),
                ("week", "model"),
                ("hour", "key"),
                ("key", "month"),
            ]
        ),
        st.sampled_from([{}, {"group_id": "grp_a"}, {"member_id": "mem_b"}, {"key_id": ["key_c"]}]),
        st.sampled_from(ZONES),
        st.one_of(st.none(), st.integers(0, 20 * 96)),
        st.integers(0, 80 * 96),
    ),
    min_size=6,
    max_size=12,
)


def sum_days(desk: Desk) -> None:
    """All there is to sum."""
    while desk.one(SumDays()):
        pass


def differences(desk: Desk, *, full: bool) -> list[str]:
    return [str(one) for one in verify(desk.session.driver, full=full).differences]


def correct(desk: Desk, request_id: str, cost: int) -> None:
    desk.change(
        lambda transaction: corrections.correct(
            desk.engine,
            transaction,
            workspace_id=DEFAULT_WORKSPACE,
            request_id=request_id,
            true=Amounts(cost_nano=cost, input_tokens=7),
            actor=OPERATOR,
            reason="the bill says so",
        )
    )


def live(desk: Desk, events: Sequence[Any]) -> None:
    """Let it all happen."""
    running: list[str] = []
    settled: list[str] = []
    for number, event in enumerate(events):
        match event:
            case "call", person, model:
                running.append(desk.one(hold(person=person, model=model)).request_id)
            case "settle", which if running:
                settled.append(running.pop(which % len(running)))
                used = Amounts(cost_nano=10 + number, input_tokens=3, output_tokens=number)
                desk.one(settlement(settled[-1], used, cached_tokens=1))
            case "correct", which if settled:
                correct(desk, settled[which % len(settled)], 1_000 + number)
            case "pass", seconds:
                desk.clock.advance(seconds)
            case "sum", is_lost:
                desk.do(SumDays(), fail=is_lost)
            case ("crash",):
                desk.reopen()
                settled += running  # at their bound
                running = []
            case _:
                pass


def answers(desk: Desk, questions: Sequence[Any], start_us: int) -> list[Any]:
    with desk.database.reader() as connection:
        return [
            read_sums(
                connection,
                by,
                {"workspace_id": DEFAULT_WORKSPACE, **where},
                since_us=None if since is None else start_us + since * QUARTER_US,
                until_us=start_us + until * QUARTER_US,
                zone=ZoneHistory.of(zone),
            )
            for by, where, zone, since, until in questions
        ]


@pytest.fixture(scope="module")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be copied, which takes less time than making one."""
    folder = tmp_path_factory.mktemp("new")
    Desk(folder).close()
    return folder


@settings(max_examples=20, deadline=None)
@given(events=EVENTS, later=EVENTS, questions=QUESTIONS)
def test_reports_say_what_the_quarters_say_whatever_comes_late(
    new_ledger: Path, events: Sequence[Any], later: Sequence[Any], questions: Sequence[Any]
) -> None:
    """M8. Calls that settle days later, corrections, crashes, commits that fail, in all zones."""
    with TemporaryDirectory() as place:
        folder = Path(place, "ledger")
        copytree(new_ledger, folder)
        desk = Desk(folder)
        start_us = desk.clock.now_us() - DAY_US
        start_us -= start_us % QUARTER_US
        live(desk, events)
        sum_days(desk)
        live(desk, later)

        summed = answers(desk, questions, start_us)
        assert differences(desk, full=True) == []
        assert differences(desk, full=False) == []

        desk.session.driver.execute("DELETE FROM settings WHERE name LIKE ?", (f"{MARK}%",))
        assert summed == answers(desk, questions, start_us)
        desk.close()


def a_past(desk: Desk) -> str:
    """Two days ago a call, today another one."""
    request_id = desk.one(hold()).request_id
    desk.one(settlement(request_id, Amounts(cost_nano=40)))
    desk.clock.advance(2 * 86_400)
    desk.one(settlement(desk.one(hold()).request_id, Amounts(cost_nano=2)))
    return str(request_id)


def test_days_that_are_over_are_summed_and_today_is_not(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    request_id = a_past(desk)

    sum_days(desk)
    correct(desk, request_id, 41)

    assert desk.rows("SELECT requests, cost FROM usage_days") == [(1, 41)]
    assert desk.rows("SELECT requests, cost FROM usage_spans") == [(1, 41)]
    assert desk.rows("SELECT requests, cost FROM usage_quarters") == [(1, 41)]
    assert desk.one(SumDays()) is False
    desk.close()


def test_a_step_is_short_however_long_the_past_is(tmp_path: Path) -> None:
    """A ledger of years is summed beside the calls, so no step may keep them waiting."""
    desk = Desk(tmp_path)
    fill_past(desk.session.driver, desk.clock.now_us())
    steps = [0]

    while desk.one(SumDays()):
        (mark,) = desk.rows("SELECT value FROM settings WHERE name LIKE 'usage_days:%'")[0]
        before = desk.rows("SELECT count(*) FROM usage_buckets WHERE bucket < ?", int(mark))[0][0]
        assert before - steps[-1] <= 100
        steps.append(before)

    assert steps[-1] == 3_000
    assert list(differing(desk.session.driver.cursor(), DEFAULT_WORKSPACE, since_us=0)) == []
    desk.close()


@pytest.mark.parametrize(
    ("tamper", "where"),
    [
        ("UPDATE usage_days SET cost = cost - 1", "usage_days"),
        ("UPDATE usage_quarters SET requests = 9", "usage_quarters"),
        ("UPDATE usage_spans SET cost = 1", "usage_spans"),
        ("DELETE FROM usage_days", "usage_days"),
        ("UPDATE usage_days SET bucket = bucket + 86400000000", "usage_days"),
        ("UPDATE settings SET value = '0' WHERE name LIKE 'usage_days:%'", "usage_days"),
    ],
)
def test_the_replay_finds_sums_that_were_tampered_with(
    tmp_path: Path, tamper: str, where: str
) -> None:
    """M8."""
    desk = Desk(tmp_path)
    a_past(desk)
    sum_days(desk)
    assert differences(desk, full=True) == []

    desk.session.driver.execute(tamper)

    found = differences(desk, full=True)
    assert any(text.startswith(where) for text in found), found
    desk.close()


def test_a_clock_that_was_set_back_changes_no_sum(tmp_path: Path) -> None:
    """Calls are admitted before the mark then, and counted on both sides of it."""
    desk = Desk(tmp_path)
    a_past(desk)
    sum_days(desk)
    desk.clock.advance(-86_400)
    desk.accept_clock()

    desk.one(settlement(desk.one(hold()).request_id, Amounts(cost_nano=9)))

    assert desk.rows("SELECT sum(cost) FROM usage_days") == [(49,)]
    assert differences(desk, full=True) == []
    desk.close()


def fill_past(driver: sqlite3.Connection, now_us: int) -> None:
    """Fifty days on which three keys called a few times, in the roll-up alone."""
    driver.executemany(
        "INSERT INTO usage_buckets VALUES (?, ?, 'grp_a', ?, ?, 'o3', 'chat.completions', 1, 2, 3, 0, 5)",
        [
            (
                DEFAULT_WORKSPACE,
                at_us - at_us % QUARTER_US,
                f"mem_{number % 3}",
                f"key_{number % 3}",
            )
            for number in range(3_000)
            for at_us in [now_us - 51 * DAY_US + number // 3 * DAY_US // 20]
        ],
    )


@pytest.mark.anyio
async def test_a_server_sums_its_past_beside_the_calls(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    fill_past(desk.session.driver, desk.clock.now_us())
    clock = desk.clock
    desk.close()

    async with serving(tmp_path, clock) as (ledger, _, database):
        filling = DayFilling(ledger)
        filling.start()
        await ledger.reserve(hold())
        with anyio.fail_after(20), closing(open_for_reading(database.path)) as connection:
            while connection.execute("SELECT sum(requests) FROM usage_days").fetchone() != (3_000,):  # noqa: ASYNC110 - told by a table
                await anyio.sleep(0.02)
        await filling.close()


FILLER = """
import sys
from pathlib import Path
from tests.support.ledger_kit import Desk
from tuckshop.ledger.operations import SumDays

desk = Desk(Path(sys.argv[1]))
while desk.one(SumDays()):
    print("a step", flush=True)
"""


def test_killed_between_two_steps_it_goes_on_from_there(tmp_path: Path) -> None:
    """kill -9 after any step: what is summed is summed once."""
    desk = Desk(tmp_path)
    fill_past(desk.session.driver, desk.clock.now_us())
    desk.close()
    for steps in (1, 2):
        with subprocess.Popen(
            [sys.executable, "-c", FILLER, str(tmp_path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            for _ in range(steps):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as connection:
            assert list(differing(connection.cursor(), DEFAULT_WORKSPACE, since_us=0)) == []

    desk = Desk(tmp_path)
    sum_days(desk)

    assert desk.rows("SELECT sum(requests), sum(cost) FROM usage_days") == [(3_000, 15_000)]
    assert desk.rows("SELECT sum(requests), sum(cost) FROM usage_quarters") == [(3_000, 15_000)]
    desk.close()
