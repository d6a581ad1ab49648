"""What the API says of limits while calls run and after them, over the real ledger."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tuckshop.domain.errors import StaleDirectoryError
from tuckshop.domain.ids import new_id
from tuckshop.domain.keys import digest_of
from tuckshop.domain.policy import limits_for, policy_of
from tuckshop.domain.reservation import Amounts, CapWish, Hold, HoldTerms, Outcome, Settlement, Void

pytestmark = pytest.mark.anyio

NANO = 1_000_000_000


async def reserve(counter: Counter, secret: str, *, model: str = "gpt-4o-mini") -> str:
    """A running call that holds $0.05: 50,000 input tokens at $1 per million."""
    holder = counter.services.directory.find(digest_of(secret), counter.clock.now_us())
    assert holder is not None
    request_id = new_id("req", counter.clock.now_us())
    await counter.ledger.reserve(
        Hold(
            request_id=request_id,
            workspace_id=holder.workspace.id,
            group_id=holder.group.id,
            member_id=holder.member.id,
            key_id=holder.key.id,
            directory_version=holder.directory_version,
            limits=limits_for(policy_of(holder), model, (), "chat"),
            endpoint="chat.completions",
            endpoint_group="chat",
            model=model,
            model_aliases=(),
            upstream="openai",
            terms=HoldTerms(
                price_id="p1", input_nano_per_million=NANO, output_nano_per_million=NANO
            ),
            input_tokens=50_000,
            images=0,
            cap=CapWish(wanted=0, greatest=0, least=0),
            patience_s=0,
        )
    )
    return request_id


def settle(counter: Counter, request_id: str, cost_nano: int) -> None:
    counter.ledger.settle(
        Settlement(
            request_id=request_id,
            charged=Amounts(cost_nano=cost_nano, input_tokens=100, output_tokens=7),
            cached_tokens=3,
            outcome=Outcome(http_status=200, first_byte_ms=5, duration_ms=9),
        )
    )


def numbers(standing: dict[str, Any]) -> tuple[Any, Any, Any]:
    return standing["used"], standing["reserved"], standing["remaining"]


async def test_used_reserved_and_remaining_add_up_at_every_step(counter: Counter) -> None:
    _, member, key = await counter.chain(
        each=["$0.20/month", "3 requests/day"], shared=["$50/month"]
    )

    async def standing() -> dict[str, tuple[Any, Any, Any]]:
        read = (await counter.admin.get(f"/api/v1/members/{member['id']}")).json
        return {limit["limit"]: numbers(limit) for limit in read["in_force"]}

    request_id = await reserve(counter, key["key"])
    held = await standing()
    settle(counter, request_id, 13_000_000)
    settled = await standing()

    assert held["$0.20/month"] == (0, Decimal("0.05"), Decimal("0.15"))
    assert settled["$0.20/month"] == (Decimal("0.013"), 0, Decimal("0.187"))
    assert settled["3 requests/day"] == (1, 0, 2)
    assert settled["$50/month"] == (Decimal("0.013"), 0, Decimal("49.987"))
    group = (await counter.admin.get("/api/v1/groups/swa")).json
    assert numbers(group["in_force"][0]) == settled["$50/month"]


async def test_the_log_and_the_sums_follow_a_call(counter: Counter) -> None:
    group, member, key = await counter.chain(each=["$1/month"])
    request_id = await reserve(counter, key["key"])

    running = (await counter.admin.get(f"/api/v1/requests/{request_id}")).json
    settle(counter, request_id, 13_000_000)
    done = (await counter.admin.get(f"/api/v1/requests/{request_id}")).json
    usage = (await counter.admin.get("/api/v1/usage", by="group,member,key,model,endpoint")).json
    read = (await counter.admin.get(f"/api/v1/keys/{key['id']}")).json

    assert (running["status"], running["cost_usd"]) == ("reserved", None)
    assert (done["status"], done["cost_usd"], done["input_tokens"], done["cached_tokens"]) == (
        "settled",
        Decimal("0.013"),
        100,
        3,
    )
    assert usage["data"] == [
        {
            "group": group["id"],
            "member": member["id"],
            "key": key["id"],
            "model": "gpt-4o-mini",
            "endpoint": "chat.completions",
            "requests": 1,
            "input_tokens": 100,
            "output_tokens": 7,
            "cached_tokens": 3,
            "cost_usd": Decimal("0.013"),
        }
    ]
    assert read["last_used_at"] == done["at"]


async def test_rotating_and_archiving_move_no_money(counter: Counter) -> None:
    """M14: a fresh secret, a fresh key and a returning member meet what was spent."""
    _, member, key = await counter.chain(each=["$1/month"])
    settle(counter, await reserve(counter, key["key"]), 250_000_000)

    rotated = (await counter.admin.post(f"/api/v1/keys/{key['id']}/rotate")).json
    await counter.admin.delete(f"/api/v1/keys/{key['id']}")
    await counter.admin.delete(f"/api/v1/members/{member['id']}")
    again = await counter.member()
    fresh = await counter.key(again["id"])

    assert again["id"] == member["id"]
    for shown in (rotated, again, fresh):
        assert numbers(shown["in_force"][0]) == (Decimal("0.25"), 0, Decimal("0.75"))


async def test_editing_an_amount_touches_no_counter_and_a_later_limit_counts_what_was_spent(
    counter: Counter,
) -> None:
    _, _, key = await counter.chain(each=["$1/month"])
    settle(counter, await reserve(counter, key["key"]), 250_000_000)

    lowered = await counter.admin.patch("/api/v1/groups/swa", {"each": ["$0.10/month"]})
    member = (await counter.admin.get("/api/v1/members")).json["data"][0]
    added = await counter.admin.patch(
        f"/api/v1/members/{member['id']}", {"limits": ["$5/day", "9 requests/hour"]}
    )

    assert lowered.status == 200
    assert numbers(member["in_force"][0]) == (Decimal("0.25"), 0, 0)
    standings = {limit["limit"]: numbers(limit) for limit in added.json["in_force"]}
    assert standings == {
        "$5/day": (Decimal("0.25"), 0, Decimal("4.75")),
        "9 requests/hour": (1, 0, 8),
        "$0.10/month": (Decimal("0.25"), 0, 0),
    }


@pytest.mark.parametrize(
    ("what", "member_used", "group_used"),
    [("each", 0, "0.25"), ("shared", "0.25", 0), ("all", 0, 0), (None, 0, 0)],
)
async def test_a_reset_starts_the_running_windows_afresh(
    counter: Counter, what: str | None, member_used: Any, group_used: Any
) -> None:
    _, member, key = await counter.chain(each=["$1/month", "$5 total"], shared=["$50/month"])
    settle(counter, await reserve(counter, key["key"]), 250_000_000)
    await reserve(counter, key["key"])

    body = None if what is None else {"what": what}
    assert (await counter.admin.post("/api/v1/groups/swa/reset", body)).status == 200

    read = (await counter.admin.get(f"/api/v1/members/{member['id']}")).json
    standings = {limit["limit"]: numbers(limit)[:2] for limit in read["in_force"]}
    assert standings == {
        "$1/month": (Decimal(member_used), Decimal("0.05")),
        "$5 total": (Decimal("0.25"), Decimal("0.05")),
        "$50/month": (Decimal(group_used), Decimal("0.05")),
    }


async def test_total_starts_afresh_only_where_it_is_asked_for(counter: Counter) -> None:
    _, member, key = await counter.chain(each=["$5 total"])
    settle(counter, await reserve(counter, key["key"]), 250_000_000)

    kept = (await counter.admin.post(f"/api/v1/members/{member['id']}/reset")).json
    fresh = (await counter.admin.post(f"/api/v1/members/{member['id']}/reset", total="true")).json

    assert numbers(kept["in_force"][0]) == (Decimal("0.25"), 0, Decimal("4.75"))
    assert numbers(fresh["in_force"][0]) == (0, 0, 5)
    assert fresh["in_force"][0]["resets_at"] is None


async def test_a_keys_reset_leaves_its_members_limits_alone(counter: Counter) -> None:
    _, member, _ = await counter.chain(each=["$1/month"])
    key = await counter.key(member["id"], limits=["$1/day"])
    settle(counter, await reserve(counter, key["key"]), 250_000_000)

    reset = (await counter.admin.post(f"/api/v1/keys/{key['id']}/reset")).json

    assert {limit["scope"]: limit["used"] for limit in reset["in_force"]} == {
        "key": 0,
        "member": Decimal("0.25"),
    }


async def test_a_shared_limit_that_is_used_up_says_so_without_amounts(counter: Counter) -> None:
    """What is only held counts as available."""
    _, _, key = await counter.chain(shared=["$0.05/month"])

    request_id = await reserve(counter, key["key"])
    held = (await counter.admin.send("GET", "/api/v1/me", token=key["key"])).json["limits"]
    settle(counter, request_id, 50_000_000)
    used = (await counter.admin.send("GET", "/api/v1/me", token=key["key"])).json["limits"]

    assert held == [{"limit": "$0.05/month", "scope": "group", "state": "available"}]
    assert used == [{"limit": "$0.05/month", "scope": "group", "state": "used up"}]


async def test_a_voided_call_cost_nothing(counter: Counter) -> None:
    _, member, key = await counter.chain(each=["$1/month"])
    request_id = await reserve(counter, key["key"])

    counter.ledger.void(Void(request_id=request_id, outcome=Outcome(http_status=429)))

    row = (await counter.admin.get(f"/api/v1/requests/{request_id}")).json
    read = (await counter.admin.get(f"/api/v1/members/{member['id']}")).json
    assert (row["status"], row["cost_usd"], row["http_status"]) == ("voided", 0, 429)
    assert numbers(read["in_force"][0]) == (0, 0, 1)


async def test_a_change_is_seen_by_the_next_reservation(counter: Counter) -> None:
    """K3: with the old version the ledger refuses, with the new one it admits."""
    _, _, key = await counter.chain(each=["$1/month"])

    await counter.admin.patch("/api/v1/groups/swa", {"each": ["$2/month"]})

    assert await reserve(counter, key["key"])


async def test_calls_go_on_while_staff_change_things(counter: Counter) -> None:
    """D6: a reservation that meets a newer directory finds it when it looks again, three times at most."""
    await counter.group(each=["$50/month"])
    keys = [
        (await counter.key((await counter.member(external_id=str(number)))["id"]))["key"]
        for number in range(10)
    ]
    tries: list[int] = []

    async def call(index: int, secret: str) -> None:
        await asyncio.sleep(index / 1_000)
        for number in range(1, 4):
            try:
                await reserve(counter, secret)
            except StaleDirectoryError:
                continue
            tries.append(number)
            return

    async def change(number: int) -> None:
        answer = await counter.admin.patch("/api/v1/groups/swa", {"title": str(number)})
        assert answer.status == 200

    await asyncio.gather(
        *(call(index, secret) for index, secret in enumerate(keys * 10)),
        *(change(number) for number in range(30)),
    )

    assert len(tries) == 100
