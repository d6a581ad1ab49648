"""kill -9 in the middle, and power cuts: whatever prefix of the commits survives is a valid ledger (M1, M4, M8)."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.ledger.crash_victim import LIMITS
from tests.support.ledger_kit import ANNA, BEN, Desk, hold, in_force, settlement, void
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger.replay import peak_of
from tuckshop.ledger.verify import verify

CYCLES = 4


def assert_is_sound(desk: Desk) -> None:
    """No reservation left, every counter as its rows say, no limit ever passed."""
    for full in (True, False):
        assert [str(d) for d in verify(desk.session.driver, full=full).differences] == []
    assert desk.rows("SELECT count(*) FROM requests WHERE state = 'reserved'") == [(0,)]
    assert desk.rows("SELECT count(*) FROM counters WHERE held <> 0") == [(0,)]
    cursor = desk.session.driver.cursor()
    for person in (ANNA, BEN):
        for text in LIMITS:
            limit = in_force(text, "member", person)
            assert peak_of(cursor, "wsp_default", limit) <= limit.limit.amount, text
    shared = in_force("$0.03/day", "group")
    assert peak_of(cursor, "wsp_default", shared) <= shared.limit.amount


@pytest.mark.parametrize("cycles", [CYCLES, pytest.param(100, marks=pytest.mark.soak)])
def test_a_killed_process_loses_no_reservation_that_was_told(tmp_path: Path, cycles: int) -> None:
    folder = tmp_path / "data"
    told: dict[str, int] = {}
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for cycle in range(cycles):
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.integration.ledger.crash_victim",
                str(folder),
                f"b{cycle}",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0.1, 0.6))
        process.kill()
        lines = process.stdout.read().decode().splitlines(keepends=True)
        process.wait()
        process.stdout.close()
        for line in lines:
            if line.endswith("\n"):
                _, request_id, cost = line.split()
                told[request_id] = int(cost)
    assert told, f"seed {seed}"

    desk = Desk(folder)
    assert_is_sound(desk)
    found = {
        id_: (state, cost, flags)
        for id_, state, cost, flags in desk.rows("SELECT id, state, cost, flags FROM requests")
    }
    assert told.keys() <= found.keys(), f"M4, seed {seed}"
    unconfirmed = [id_ for id_ in told if found[id_][2] == "unconfirmed"]
    assert all(found[id_][1] == told[id_] for id_ in unconfirmed), f"R1, seed {seed}"
    assert 0 < len(unconfirmed) <= 40 * cycles  # M16: only what was running is over-charged
    print(f"{len(told)} told, {len(unconfirmed)} unconfirmed, {len(found)} rows, seed {seed}")
    desk.close()


def test_any_prefix_of_the_log_is_a_valid_ledger(tmp_path: Path) -> None:
    """A power cut leaves the database file and some first part of its log."""
    folder = tmp_path / "data"
    desk = Desk(folder)
    limits = ("$0.0003/day", "20 requests/minute", "3 concurrent requests")
    running: list[str] = []
    for turn in range(30):
        answer = desk.one(hold(*limits))
        if hasattr(answer, "request_id"):
            running.append(answer.request_id)
        if len(running) > 2:
            end = running.pop(0)
            desk.one(void(end) if turn % 3 else settlement(end, Amounts(cost_nano=9_000)))
        if turn % 10 == 9:
            desk.clock.advance(61)
    log = (folder / "tuckshop.db-wal").read_bytes()
    assert len(log) > 100_000
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    states: set[int] = set()

    for number in range(25):
        copy = tmp_path / f"cut{number}"
        copy.mkdir()
        shutil.copy(folder / "tuckshop.db", copy)
        shutil.copy(folder / "tuckshop.json", copy)
        length = chance.randrange(len(log) + 1)
        (copy / "tuckshop.db-wal").write_bytes(log[:length])
        with contextlib.closing(sqlite3.connect(copy / "tuckshop.db")) as connection:
            has_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            rows = (
                connection.execute("SELECT count(*) FROM requests").fetchone()[0]
                if has_tables
                else 0
            )
            has_people = has_tables and connection.execute("SELECT 1 FROM workspaces").fetchone()
        if not has_people:
            continue
        states.add(rows)
        survivor = Desk(copy, clock=desk.clock)
        differences = verify(survivor.session.driver, full=True).differences
        assert [str(d) for d in differences] == [], f"cut at {length}, seed {seed}"
        cursor = survivor.session.driver.cursor()
        for text in limits:
            limit = in_force(text)
            assert peak_of(cursor, "wsp_default", limit) <= limit.limit.amount, (
                f"{text}, seed {seed}"
            )
        survivor.close()
    assert len(states) > 3
    desk.close()
