"""Many calls at once against limits that fit only a few: never one nano-USD over (M1, M2, M5)."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.acceptance.conftest import key_of_new_member
from tests.support.http import Reply, post
from tests.support.oracle import billed_nano_usd
from tests.support.positions import Row, most_held_at_once, rows_of
from tests.support.processes import COMMAND, Mock, Server, call, clean_environment

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"
INPUT, OUTPUT = 150, 600  # nano-USD per token of MODEL
FLOOR_TOKENS = 16


def body(text: str, tokens: int = 100) -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
    }


def nano(value: float) -> int:
    return int(Decimal(str(value)) * 10**9)


def usd(amount_nano: int) -> str:
    return f"${Decimal(amount_nano) / 10**9:f}"


def worst_case(server: Server, text: str) -> int:
    """What one such call holds, as the server itself tells while it runs."""
    key = key_of_new_member(server, f"worst-{time.time_ns()}", each=["$1/month"])

    async def look() -> int:
        slow = asyncio.create_task(post(server.url, CHAT, key, body(text + " [[speed:40]]")))
        held = 0
        for _ in range(200):
            me = await asyncio.to_thread(call, "GET", f"{server.url}/api/v1/me", token=key)
            held = nano(me[1]["limits"][0]["reserved"])
            if held:
                break
            await asyncio.sleep(0.01)
        await slow
        return held

    return asyncio.run(look())


@dataclass(frozen=True)
class Timed:
    """A reply, and how long its client waited for it."""

    reply: Reply
    took_s: float


async def run_all(
    server: Server, keys: list[str], text: str, watch: Callable[[], tuple[int, int]], amount: int
) -> list[Timed]:
    """A call of each of *keys*, all at once, with live snapshots beside."""

    async def one(number: int, key: str) -> Timed:
        began = time.monotonic()
        reply = await post(server.url, CHAT, key, body(f"{text} {number:04}"))
        return Timed(reply, time.monotonic() - began)

    calls = [asyncio.create_task(one(n, key)) for n, key in enumerate(keys)]
    while not all(task.done() for task in calls):
        used, reserved = await asyncio.to_thread(watch)
        assert used + reserved <= amount, "M1 is broken in a live snapshot"
        await asyncio.sleep(0.05)
    return [task.result() for task in calls]


async def until_open(mock: Mock, count: int) -> None:
    """Wait until the upstream has *count* calls under way."""
    for _ in range(2000):
        if (await asyncio.to_thread(mock.state))["open"] >= count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"there were never {count} calls under way")


def check(
    server: Server, mock: Mock, timed: list[Timed], totals: tuple[int, int], amount: int
) -> None:
    """*totals*: used and reserved at the end. The limit had *amount*, all of it for these calls; patience 3 s."""
    used, reserved = totals
    replies = [each.reply for each in timed]
    assert {reply.status for reply in replies} <= {200, 429}
    assert all(reply.complete for reply in replies)
    answered = {r.headers["x-request-id"] for r in replies if r.status == 200}
    refused = {r.headers["x-request-id"] for r in replies if r.status == 429}
    rows = {id_: row for id_, row in rows_of(server.data).items() if id_ in answered | refused}
    holding = [row for row in rows.values() if row.state != "refused"]

    assert reserved == 0
    assert {row.id for row in holding} == answered
    billed = billed_nano_usd(mock.bill)
    for row in holding:
        assert row.cost == billed[row.id], f"{row.id}: settled is not what was billed (M5)"
    assert used == sum(billed[id_] for id_ in answered)
    assert not refused & billed.keys(), "something refused was dispatched (M15)"
    assert most_held_at_once(holding) <= amount, "M1 is broken at some position"
    floor = holding[0].held_input_tokens * INPUT + FLOOR_TOKENS * OUTPUT
    for each in timed:
        if each.reply.code == "insufficient_quota":
            assert amount - used < floor, "refused though what is used left room"
        elif each.reply.code is not None:
            assert each.reply.code == "rate_limit_exceeded"
            assert each.took_s >= 3, "refused before its patience was over"
    assert_was_full(
        holding,
        amount - floor,
        patience_s=3,
        refused=any(each.reply.code == "rate_limit_exceeded" for each in timed),
    )
    assert_verified(server)


def assert_was_full(rows: list[Row], most: int, *, patience_s: float, refused: bool) -> None:
    """Where somebody was refused for what is only held, used + reserved stood above *most* for the whole patience."""
    if not refused:
        return
    longest = full_since = None
    for at_us, total in totals_over_time(rows):
        if total > most:
            full_since = at_us if full_since is None else full_since
            longest = max(longest or 0, at_us - full_since)
        else:
            full_since = None
    ends_full = full_since is not None
    assert ends_full or (longest or 0) >= (patience_s - 0.1) * 1_000_000


def totals_over_time(rows: list[Row]) -> list[tuple[int, int]]:
    """(time, used + reserved) after each change, in the ledger's order."""
    changes = [(row.position, row.admitted_at, row.held_cost) for row in rows]
    changes += [
        (row.resolved_position, row.resolved_at, (row.cost or 0) - row.held_cost)
        for row in rows
        if row.resolved_position is not None and row.resolved_at is not None
    ]
    total, seen = 0, []
    for _, at_us, change in sorted(changes):
        total += change
        seen.append((at_us, total))
    return seen


def assert_verified(server: Server) -> None:
    done = subprocess.run(
        [str(COMMAND), "verify"],
        env=clean_environment() | {"TUCKSHOP_DATA": str(server.data)},
        capture_output=True,
        text=True,
        cwd=server.data.parent,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_thousand_parallel_calls_against_ten_worst_cases(server: Server, mock: Mock) -> None:
    amount = 10 * worst_case(server, "[[tokens:30]] race 0000")
    key = key_of_new_member(server, "race-one", each=[f"{usd(amount)} total"], patience_s=3)

    def watch() -> tuple[int, int]:
        limit = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"][0]
        return nano(limit["used"]), nano(limit["reserved"])

    timed = asyncio.run(run_all(server, [key] * 1000, "[[tokens:30]] race", watch, amount))

    assert sum(each.reply.status == 200 for each in timed) >= 10
    check(server, mock, timed, watch(), amount)


def test_two_hundred_keys_under_one_shared_limit(server: Server, mock: Mock) -> None:
    amount = 10 * worst_case(server, "[[tokens:30]] pot 0000")
    group = {"name": "race-pot", "shared": [f"{usd(amount)} total"], "patience_s": 3}
    server.made("POST", "/groups", group)
    members = [{"external_id": f"s{n}"} for n in range(200)]
    made = server.made("POST", "/groups/race-pot/members?issue_keys=true", members)["data"]
    keys = [row["key"]["key"] if isinstance(row["key"], dict) else row["key"] for row in made]

    def watch() -> tuple[int, int]:
        limit = server.made("GET", "/groups/race-pot")["in_force"][0]
        return nano(limit["used"]), nano(limit["reserved"])

    timed = asyncio.run(run_all(server, keys * 2, "[[tokens:30]] pot", watch, amount))

    assert sum(each.reply.status == 200 for each in timed) >= 10
    check(server, mock, timed, watch(), amount)


def test_what_is_only_held_is_waited_for_the_whole_patience(server: Server, mock: Mock) -> None:
    text = "[[tokens:60]] [[speed:20]] held"
    amount = 10 * worst_case(server, f"{text} 0000")
    key = key_of_new_member(server, "race-held", each=[f"{usd(amount)} total"], patience_s=1)

    async def race() -> tuple[list[Timed], list[Reply]]:
        holders = [
            asyncio.create_task(post(server.url, CHAT, key, body(f"{text} {n:04}")))
            for n in range(10)
        ]
        await until_open(mock, 10)
        began = time.monotonic()
        waiters = [
            asyncio.create_task(post(server.url, CHAT, key, body(f"{text} {n:04}")))
            for n in range(10, 30)
        ]
        timed = [Timed(await each, time.monotonic() - began) for each in waiters]
        return timed, [await each for each in holders]

    timed, held = asyncio.run(race())

    assert [reply.status for reply in held] == [200] * 10
    for each in timed:
        assert (each.reply.status, each.reply.code) == (429, "rate_limit_exceeded")
        assert each.took_s >= 1
        assert each.reply.headers["retry-after"] == "2"
        assert "held by 10 running calls" in each.reply.json["error"]["message"]
    assert asyncio.run(post(server.url, CHAT, key, body("[[tokens:5]] again"))).status == 200
