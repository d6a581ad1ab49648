"""
kill -9 under load, the made-up provider's own bill as the oracle.

After each kill: ready again within 5 s, recorded ≥ billed for every dispatched request (M4, M5), no limit passed (M1),
every counter explained by its rows (M8), nothing left open.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.acceptance.test_race import assert_verified, nano
from tests.support.http import post
from tests.support.oracle import billed_nano_usd
from tests.support.positions import Row, most_held_at_once, most_open_at_once, rows_of
from tests.support.processes import Mock, Server, start_mock, start_server

pytestmark = pytest.mark.long

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"
LIMIT_NANO = 10**9
AT_ONCE = 28  # calls that may run; a few more always want to


def body(rng: random.Random) -> dict[str, Any]:
    tokens = rng.randrange(5, 60)
    speed = rng.choice(("", "[[speed:90]]", "[[speed:45]]"))
    fault = rng.choice(("",) * 9 + ("[[fault:429]]", "[[fault:reset-mid-stream]]"))
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"[[tokens:{tokens}]] {speed} {fault}"}],
        "max_tokens": 80,
        "stream": rng.random() < 0.7,
    }


async def load_until_killed(
    server: Server, mock: Mock, key: str, rng: random.Random, open_calls: int
) -> int:
    """Keep *open_calls* + 12 calls going; kill the server at some moment with at least so many open."""

    async def one_after_the_other(seed: int) -> None:
        own = random.Random(seed)
        while server.process.poll() is None:
            await post(server.url, CHAT, key, body(own))

    tasks = [
        asyncio.create_task(one_after_the_other(rng.randrange(2**32)))
        for _ in range(open_calls + 12)
    ]
    await asyncio.sleep(rng.uniform(0.05, 0.5))
    deadline = time.monotonic() + 20
    count = 0
    while time.monotonic() < deadline:
        count = (await asyncio.to_thread(mock.state))["open"]
        if count >= open_calls:
            break
        await asyncio.sleep(0.01)
    server.kill()
    for task in tasks:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(task, 10)
    return count


def all_rows(server: Server) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = server.made("GET", f"/requests?limit=1000{cursor}")
        rows += page["data"]
        if not page["next_cursor"]:
            return rows
        cursor = f"&cursor={page['next_cursor']}"


def check(server: Server, mock: Mock) -> Counter[str]:
    """The oracle's verdict on everything since the first start. Returns rows by status and flag."""
    rows = {row["id"]: row for row in all_rows(server)}
    assert not [row for row in rows.values() if row["status"] == "reserved"], "a hold was left (R1)"
    for request_id, owed in billed_nano_usd(mock.bill).items():
        assert request_id in rows, f"{request_id} was billed and is not recorded (M3, M4)"
        row = rows[request_id]
        assert row["status"] == "settled", f"{request_id} was billed and is {row['status']} (M10)"
        charged = nano(row["cost_usd"])
        assert charged >= owed, f"{request_id} is recorded below its bill (M5)"
        if "unconfirmed" not in row["flags"]:
            assert charged == owed, f"{request_id} was over-charged without a flag (M16)"
    group = server.made("GET", "/groups/crash")
    limit, at_once = sorted(group["in_force"], key=lambda each: str(each["limit"]))
    used = sum(nano(row["cost_usd"] or 0) for row in rows.values())
    assert nano(limit["used"]) == used
    assert (limit["reserved"], at_once["reserved"]) == (0, 0)
    kept = rows_of(server.data).values()
    assert most_held_at_once(kept) <= LIMIT_NANO, "M1 at some position"
    assert most_open_at_once(kept) <= AT_ONCE, "M1 at some position"
    assert_verified(server)
    return Counter(
        "unconfirmed" if "unconfirmed" in row["flags"] else row["status"] for row in rows.values()
    )


def rows_of_the_dead(server: Server, folder: Path) -> list[Row]:
    """What the killed server left on the disk, read from a copy, so that only the next start recovers it."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in server.data.glob("*.db*"):
        shutil.copy(file, copy)
    return list(rows_of(copy).values())


def cycles(folder: Path, count: int, seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    mock = start_mock(folder / "upstream")
    server = start_server(folder, mock.url)
    limits = [f"${Decimal(LIMIT_NANO) / 10**9} total", f"{AT_ONCE} concurrent requests"]
    key = key_of_new_member(server, "crash", shared=limits)
    try:
        longest = 0.0
        for _ in range(count):
            opened = asyncio.run(load_until_killed(server, mock, key, rng, 20))
            assert opened >= 20
            print("at the kill:", Counter(row.state for row in rows_of_the_dead(server, folder)))
            began = time.monotonic()
            server = start_server(folder, mock.url)
            took = time.monotonic() - began - server.starved_s()
            longest = max(longest, took)
            assert took <= 5, f"ready only {took:.1f} s after a kill"
            deadline = time.monotonic() + 20
            while mock.state()["open"] and time.monotonic() < deadline:
                time.sleep(0.05)  # it still writes its bill
            print("afterwards: ", check(server, mock), flush=True)
        print(f"{count} kills, ready after {longest:.1f} s at most")
    finally:
        server.stop()
        mock.stop()


def test_twenty_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    cycles(tmp_path, 20, random.randrange(2**32))


@pytest.mark.soak
def test_two_hundred_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    cycles(tmp_path, 200, random.randrange(2**32))
