"""Folding and what it must leave alone: crashes, clocks that jump, windows that reach far back (P9, M4, M8)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import GROUP, Desk, hold, in_force, settlement
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger import folding
from tuckshop.ledger.verify import verify

LIMIT = "$1 total"
DAY_S = 86_400
BEGIN_US = 1_795_500_000_000_000
ROWS = 12


def lived(folder: Path, days: int = 600, last_days: int = 10, every_s: int = 5 * DAY_S) -> Desk:
    """A ledger with a few calls at its beginning, and *last_days* closings at its end."""
    desk = Desk(folder, FakeClock(BEGIN_US))
    limit = in_force(LIMIT)
    for number in range(ROWS):
        granted = desk.one(hold(limit, request_id=f"req_{number}"))
        desk.one(settlement(granted.request_id, Amounts(cost_nano=1_000 + number, input_tokens=5)))
        desk.clock.advance(every_s)
    desk.clock.advance((days - last_days) * DAY_S)
    pass_days(desk, last_days)
    return desk


def pass_days(desk: Desk, days: int) -> None:
    for _ in range(days):
        desk.clock.advance(DAY_S)
        desk.do()


def fold(desk: Desk, most: int = 200) -> int:
    done: int = desk.change(
        lambda transaction: folding.fold(
            transaction, workspace_id="wsp_default", group_id=GROUP, most=most
        )
    )
    return done


def told(desk: Desk) -> tuple[Any, ...]:
    """Everything that folding must not change: sums over both, and a counter summed afresh."""
    desk.change(lambda transaction: transaction.cursor.execute("DELETE FROM counters"))
    desk.engine.books.drop()
    for full in (True, False):
        assert [str(d) for d in verify(desk.session.driver, full=full).differences] == []
    return (
        desk.rows(
            "SELECT (SELECT count(*) FROM requests) + (SELECT coalesce(sum(requests), 0) FROM folded),"
            " (SELECT coalesce(sum(cost), 0) FROM requests) + (SELECT coalesce(sum(cost), 0) FROM folded)"
        ),
        desk.state(in_force(LIMIT)).used,
        desk.state(in_force("1000 requests/year on gpt-4o-mini", "group")).used,
        desk.state(in_force("1000 tokens total", "key")).used,
    )


@pytest.mark.parametrize("point", ["added", "before-commit", "after-commit"])
def test_a_kill_in_the_middle_loses_and_doubles_nothing(tmp_path: Path, point: str) -> None:
    """M4, M8: the carry rows and the rows that go are one commit."""
    desk = lived(tmp_path / "data")
    before = told(desk)
    now_us = desk.clock.now_us()
    desk.close()

    killed = subprocess.run(
        [sys.executable, "-m", "tests.integration.ledger.test_folding", str(tmp_path / "data"), str(now_us), point],
        check=False,
    )  # fmt: skip

    assert killed.returncode == -signal.SIGKILL
    desk = Desk(tmp_path / "data", FakeClock(now_us))
    left = 7 if point == "after-commit" else ROWS
    assert desk.rows("SELECT count(*) FROM requests") == [(left,)]
    assert told(desk) == before
    assert fold(desk) == left
    assert told(desk) == before
    desk.close()


def test_rows_are_folded_once_seven_closings_came_after_them(tmp_path: Path) -> None:
    """M8: a clock that jumped ahead folds nothing for a week, and the replay starts behind what is folded."""
    desk = lived(tmp_path, last_days=0, every_s=60)
    # The first batch that is made on a day closes the one before.
    for _ in range(folding.CLOSINGS_AFTER - 1):
        assert fold(desk) == 0
        desk.clock.advance(DAY_S)

    assert fold(desk) == ROWS
    assert fold(desk) == 0
    desk.close()


def test_what_runs_is_never_folded(tmp_path: Path) -> None:
    """M4."""
    desk = Desk(tmp_path, FakeClock(BEGIN_US))
    desk.one(hold(in_force(LIMIT), request_id="req_open"))
    desk.clock.advance(600 * DAY_S)
    pass_days(desk, 10)

    assert fold(desk) == 0
    assert desk.rows("SELECT id FROM requests") == [("req_open",)]
    desk.close()


def test_what_a_rolling_window_reaches_is_kept(tmp_path: Path) -> None:
    """M1: a limit per 700 days counts rows that are older than `log_days`, each at its own time."""
    desk = lived(tmp_path)
    limit = in_force("1000 requests/700 days")
    before = desk.state(limit).used
    assert before == ROWS

    assert fold(desk) == 0

    assert desk.state(limit).used == before
    desk.close()


if __name__ == "__main__":
    folder, now, where = sys.argv[1:]

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    victim = Desk(Path(folder), FakeClock(int(now)))
    if where == "added":

        def add_and_die(batch: Any, rows: list[Any]) -> None:
            batch._cursor.executemany(folding._ADD, [batch._carried(row) for row in rows])
            die()

        folding._Folding.fold = add_and_die  # type: ignore[method-assign, assignment]
    elif where == "before-commit":
        victim.session.commit = die  # type: ignore[method-assign]
    fold(victim, most=5)
    die()
