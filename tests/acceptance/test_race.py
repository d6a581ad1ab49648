"""Many calls at once against limits that fit only a few: never one nano-USD over (M1, M2, M5)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.acceptance.conftest import key_of_new_member
from tests.support import oracle
from tests.support.http import Reply, post
from tests.support.processes import COMMAND, Mock, Server, call, clean_environment

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"
INPUT, OUTPUT = 150, 600  # nano-USD per token of MODEL


def body(text: str, tokens: int = 100) -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
    }


def nano(value: float) -> int:
    return int(Decimal(str(value)) * 10**9)


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


async def run_all(
    server: Server, keys: list[str], text: str, watch: Callable[[], tuple[int, int]], amount: int
) -> list[Reply]:
    calls = [
        asyncio.create_task(post(server.url, CHAT, key, body(f"{text} {n:04}")))
        for n, key in enumerate(keys)
    ]
    while not all(task.done() for task in calls):
        used, reserved = await asyncio.to_thread(watch)
        assert used + reserved <= amount, "M1 is broken in a live snapshot"
        await asyncio.sleep(0.05)
    return [task.result() for task in calls]


def check(
    server: Server, mock: Mock, replies: list[Reply], used: int, reserved: int, amount: int
) -> None:
    assert {reply.status for reply in replies} <= {200, 429}
    answered = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == 429]
    assert all(reply.complete for reply in replies)
    assert reserved == 0
    billed = oracle.bill_of(mock.bill)
    costs = [
        billed[reply.headers["x-request-id"]].input_tokens * INPUT
        + billed[reply.headers["x-request-id"]].output_tokens * OUTPUT
        for reply in answered
    ]
    assert used == sum(costs), "what is settled is not what was billed (M5)"
    assert used <= amount
    assert not any(reply.headers["x-request-id"] in billed for reply in refused), "M15"
    for reply in refused:
        if reply.code == "insufficient_quota":
            floor = 16 * OUTPUT  # and the input besides
            assert amount - used < worst_case_of_floor(reply, floor), (
                "refused though it would have fitted"
            )
        else:
            assert reply.code == "rate_limit_exceeded"
            assert "held" in reply.json["error"]["message"]
    assert_verified(server)


def worst_case_of_floor(reply: Reply, floor: int) -> int:
    # The input bound of these calls: at most 300 bytes and constants, far more than the text has.
    return floor + 300 * INPUT


def assert_verified(server: Server) -> None:
    import subprocess

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
    amount = 10 * worst_case(server, "[[tokens:30]] race")
    usd = f"${Decimal(amount) / 10**9:f}"
    key = key_of_new_member(server, "race-one", each=[f"{usd} total"], patience_s=3)

    def watch() -> tuple[int, int]:
        limit = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"][0]
        return nano(limit["used"]), nano(limit["reserved"])

    replies = asyncio.run(run_all(server, [key] * 1000, "[[tokens:30]] race", watch, amount))

    used, reserved = watch()
    assert sum(reply.status == 200 for reply in replies) >= 10
    check(server, mock, replies, used, reserved, amount)


def test_two_hundred_keys_under_one_shared_limit(server: Server, mock: Mock) -> None:
    amount = 10 * worst_case(server, "[[tokens:30]] pot")
    usd = f"${Decimal(amount) / 10**9:f}"
    server.made(
        "POST", "/groups", {"name": "race-pot", "shared": [f"{usd} total"], "patience_s": 3}
    )
    members = [{"external_id": f"s{n}"} for n in range(200)]
    made = server.made("POST", "/groups/race-pot/members?issue_keys=true", members)["data"]
    keys = [row["key"]["key"] if isinstance(row["key"], dict) else row["key"] for row in made]

    def watch() -> tuple[int, int]:
        group = server.made("GET", "/groups/race-pot")
        limit = group["in_force"][0]
        return nano(limit["used"]), nano(limit["reserved"])

    replies = asyncio.run(run_all(server, keys * 2, "[[tokens:30]] pot", watch, amount))

    used, reserved = watch()
    check(server, mock, replies, used, reserved, amount)
