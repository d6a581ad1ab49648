"""kill -9 in the middle, and power cuts: whatever prefix of the commits survives is a valid ledger (M1, M4, M8)."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.ledger.crash_victim import LIMITS
from tests.support.ledger_kit import ANNA, BEN, Desk, hold, in_force, settlement, void
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.reservation import Amounts, Granted
from tuckshop.ledger import grants, resets
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
    uses = desk.rows("SELECT count(*) FROM entries WHERE kind = 'grant_use'")[0][0]
    assert uses, f"grants were not used, seed {seed}"
    unconfirmed = [id_ for id_ in told if found[id_][2] == "unconfirmed"]
    assert all(found[id_][1] == told[id_] for id_ in unconfirmed), f"R1, seed {seed}"
    assert 0 < len(unconfirmed) <= 40 * cycles  # M16: only what was running is over-charged
    print(f"{len(told)} told, {len(unconfirmed)} unconfirmed, {len(found)} rows, seed {seed}")
    desk.close()


LOG_HEADER, FRAME_HEADER, PAGE = 32, 24, 4096


def commits_in(log: bytes) -> list[int]:
    """Where each commit in a log of SQLite's ends: behind the frame that says how long the database then is."""
    frame = FRAME_HEADER + PAGE
    ends = range(LOG_HEADER + frame, len(log) + 1, frame)
    return [end for end in ends if any(log[end - frame + 4 : end - frame + 8])]


@pytest.mark.parametrize("torn", ["", "cut in a frame", "zeros behind", "rubbish behind"])
def test_any_prefix_of_the_commits_is_a_valid_ledger(tmp_path: Path, torn: str) -> None:
    """
    M1, M3, M4, M8. A power cut leaves the database file and some first part of its log, whatever lies behind it.

    At every commit there is: what was granted up to it is there, no limit was passed, and every counter is explained.
    """
    folder = tmp_path / "data"
    desk = Desk(folder)
    log_file = folder / "tuckshop.db-wal"
    limits = ("$0.0003/day", "200 requests/minute", "3 concurrent requests")
    running: list[str] = []
    told: list[tuple[int, str]] = []  # how long the log was when it was told
    for turn in range(30):
        answer = desk.one(hold(*limits))
        if isinstance(answer, Granted):
            running.append(answer.request_id)
            told.append((log_file.stat().st_size, answer.request_id))
        if len(running) > 2:
            first = running.pop(0)
            desk.one(void(first) if turn % 3 else settlement(first, Amounts(cost_nano=70_000)))
        if turn % 10 == 9:
            desk.clock.advance(61)
            desk.change(
                lambda transaction: grants.grant(
                    desk.engine,
                    transaction,
                    workspace_id="wsp_default",
                    member_ids=[ANNA.member],
                    amount_nano=100_000,
                    until_us=None,
                    actor=OPERATOR,
                    reason=None,
                )
            )
        if turn == 25:
            desk.change(
                lambda transaction: resets.reset(
                    desk.engine,
                    transaction,
                    workspace_id="wsp_default",
                    scopes=[ANNA.scope("member")],
                    actor=OPERATOR,
                    with_total=False,
                )
            )
    assert desk.rows("SELECT 1 FROM entries WHERE kind = 'grant_use'")
    log = log_file.read_bytes()
    commits = commits_in(log)
    assert len(commits) > 30
    assert len(told) > 10
    seed = random.randrange(2**32)
    chance = random.Random(seed)

    for number, end in enumerate(commits[3:]):
        left = log[:end]
        if torn == "cut in a frame":
            left += log[end : end + chance.randrange(FRAME_HEADER + PAGE)]
        elif torn:
            size = chance.randrange(3 * PAGE)
            left += bytes(size) if torn == "zeros behind" else chance.randbytes(size)
        copy = tmp_path / f"cut{number}"
        copy.mkdir()
        for name in ("tuckshop.db", "tuckshop.json"):
            shutil.copy(folder / name, copy)
        (copy / "tuckshop.db-wal").write_bytes(left)

        survivor = Desk(copy, clock=desk.clock, boot=desk.boot)  # the next one
        where = f"cut at {end}, seed {seed}"
        differences = verify(survivor.session.driver, full=True).differences
        assert [str(d) for d in differences] == [], where
        survived = {id_ for (id_,) in survivor.rows("SELECT id FROM requests")}
        assert survived >= {id_ for size, id_ in told if size <= end}, f"M4: {where}"
        assert survivor.rows("SELECT 1 FROM requests WHERE state = 'reserved'") == [], where
        cursor = survivor.session.driver.cursor()
        ((granted,),) = survivor.rows(
            "SELECT coalesce(sum(cost), 0) FROM entries WHERE kind = 'grant'"
        )
        for text in limits:
            limit = in_force(text)
            most = limit.limit.amount + (granted if text.startswith("$") else 0)
            assert peak_of(cursor, "wsp_default", limit) <= most, f"{text}: {where}"
        survivor.close()
        shutil.rmtree(copy)
    desk.close()
