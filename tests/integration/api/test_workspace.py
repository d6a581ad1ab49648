"""What holds over all groups together: by the admin API, over the real ledger."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.integration.api.test_standing import NANO, reserve, settle
from tuckshop.domain.errors import InsufficientQuotaError, RefusalError
from tuckshop.domain.keys import digest_of
from tuckshop.domain.policy import policy_of
from tuckshop.protocols.sentences import sentence

pytestmark = pytest.mark.anyio

PATH = "/api/v1/workspace"
NOTHING: dict[str, Any] = {
    "limits": [],
    "models": None,
    "endpoints": None,
    "max_output_tokens": None,
    "pseudonyms": False,
}


async def two_groups(counter: Counter) -> list[str]:
    """A key's secret in each of two groups."""
    secrets = []
    for name in ("swa", "os"):
        await counter.group(name=name, each=["$50/month"])
        member = await counter.member(name)
        secrets.append((await counter.key(member["id"]))["key"])
    return secrets


async def test_a_fresh_one_restricts_nothing(counter: Counter) -> None:
    shown = (await counter.admin.get(PATH)).json

    unchecked = {"mode": "off", "fail": "closed", "thresholds": {}}
    assert shown == {**NOTHING, "moderation": unchecked, "time_zone": "UTC", "in_force": []}


async def test_a_limit_holds_over_all_groups_under_a_race(counter: Counter) -> None:
    """M1: forty calls of two groups at once, where four fit."""
    secrets = await two_groups(counter)
    await counter.admin.patch(PATH, {"limits": ["$0.20/month"]})

    async def one(secret: str) -> str | RefusalError:
        try:
            return await reserve(counter, secret)
        except RefusalError as error:
            return error

    made = await asyncio.gather(*(one(secrets[number % 2]) for number in range(40)))

    calls = [one for one in made if isinstance(one, str)]
    assert len(calls) == 4
    (standing,) = (await counter.admin.get(PATH)).json["in_force"]
    assert (standing["reserved"], standing["remaining"]) == (Decimal("0.2"), 0)
    for call in calls:
        settle(counter, call, NANO // 20)
    (standing,) = (await counter.admin.get(PATH)).json["in_force"]
    assert (standing["used"], standing["reserved"]) == (Decimal("0.2"), 0)
    for secret in secrets:
        with pytest.raises(InsufficientQuotaError):
            await reserve(counter, secret)


async def test_a_refusal_tells_a_holder_whose_limit_it_is_and_when_it_renews_and_no_amounts(
    counter: Counter,
) -> None:
    """K5, K21: amounts would tell what others used."""
    secret, other = await two_groups(counter)
    settle(counter, await reserve(counter, other), NANO // 20)
    await counter.admin.patch(PATH, {"limits": ["$0.05/month"]})

    with pytest.raises(InsufficientQuotaError) as refused:
        await reserve(counter, secret)

    said = sentence(refused.value)
    assert "all groups share" in said
    assert "renews" in said or "00:00" in said
    assert "0.05" not in said
    me = (await counter.admin.send("GET", "/api/v1/me", token=secret)).json
    (shown,) = [one for one in me["limits"] if one["scope"] == "workspace"]
    assert shown == {"limit": "$0.05/month", "scope": "workspace", "state": "used up"}


async def test_a_limit_added_in_mid_month_counts_what_was_spent(counter: Counter) -> None:
    """M1, D6."""
    secrets = await two_groups(counter)
    for secret in secrets:
        settle(counter, await reserve(counter, secret), NANO // 50)

    made = await counter.admin.patch(PATH, {"limits": ["$1/month", "1 requests/year"]})

    money, calls = made.json["in_force"]
    assert (money["used"], money["remaining"]) == (Decimal("0.04"), Decimal("0.96"))
    assert (calls["used"], calls["remaining"]) == (2, 0)  # lowered below what is used: none fits


async def test_a_change_holds_at_the_next_call_of_everybody(counter: Counter) -> None:
    """K3."""
    secrets = await two_groups(counter)

    def policies() -> list[Any]:
        now_us = counter.clock.now_us()
        holders = [counter.services.directory.find(digest_of(one), now_us) for one in secrets]
        return [policy_of(holder) for holder in holders if holder is not None]

    await counter.admin.patch(
        PATH, {"models": ["gpt-4o-mini"], "endpoints": ["chat"], "max_output_tokens": 100}
    )

    assert [policy.may_model("gpt-4o") for policy in policies()] == [False, False]
    assert [policy.may_endpoint("embeddings", default_open=True) for policy in policies()] == [
        *(False, False)
    ]
    assert [policy.max_output_tokens for policy in policies()] == [100, 100]

    unset = await counter.admin.patch(PATH, dict.fromkeys(NOTHING))

    assert {name: unset.json[name] for name in NOTHING} == NOTHING
    assert [policy.may_model("gpt-4o") for policy in policies()] == [True, True]


async def test_what_cannot_be_taken_changes_nothing(counter: Counter) -> None:
    spoilt: list[dict[str, Any]] = [
        {"limits": ["$1/month", "a lot"]},
        {"limits": ["$1/month"], "name": "x"},
        {"max_output_tokens": 0},
        {"models": ["gpt 4"]},
        {"time_zone": "UTC"},
        {"in_force": []},
    ]

    for body in spoilt:
        answer = await counter.admin.patch(PATH, body)
        assert answer.status == 422, (body, answer.body)
        assert answer.json["errors"]

    assert (await counter.admin.get(PATH)).json["limits"] == []


async def test_what_is_left_out_stays_and_the_trail_tells_each_change(counter: Counter) -> None:
    """K16."""
    await counter.admin.patch(PATH, {"limits": ["$1/month"], "models": ["gpt-*"]})
    await counter.admin.patch(PATH, {"models": None})
    await counter.admin.patch(PATH, {"models": None})  # as it is

    rows = (await counter.admin.get("/api/v1/audit", action="workspace.change")).json["data"]

    assert (await counter.admin.get(PATH)).json["limits"] == ["$1/month"]
    assert [(row["before"], row["after"]) for row in rows] == [
        ({"models": '["gpt-*"]'}, {"models": None}),
        (
            {"limits": "[]", "models": None},
            {"limits": '["$1/month"]', "models": '["gpt-*"]'},
        ),
    ]


async def test_a_change_can_be_bound_to_a_version(counter: Counter) -> None:
    read = await counter.admin.get(PATH)
    await counter.admin.patch(PATH, {"limits": ["$1/month"]})

    headers = {"if-match": read.headers["etag"]}
    late = await counter.admin.send("PATCH", PATH, body={"limits": []}, headers=headers)

    assert late.status == 412
    assert (await counter.admin.get(PATH)).json["limits"] == ["$1/month"]


async def test_staff_of_a_group_see_whether_there_is_room_and_no_amounts(counter: Counter) -> None:
    """K5: what all groups together used tells what the others used."""
    _, secret = await two_groups(counter)
    settle(counter, await reserve(counter, secret), NANO // 20)
    await counter.admin.patch(PATH, {"limits": ["$0.10/month"]})
    viewer = await counter.staff("viewer")

    expected = {"limit": "$0.10/month", "scope": "workspace", "state": "available"}
    for kind in ("groups", "members", "keys"):
        for one in (await viewer.get(f"/api/v1/{kind}")).json["data"]:
            of_all = [limit for limit in one["in_force"] if limit["scope"] == "workspace"]
            assert of_all == [expected], kind
    forecast = (await viewer.get("/api/v1/groups/swa/forecast")).json["data"]
    assert forecast == []
    of_operator = (await counter.admin.get("/api/v1/groups/swa/forecast")).json["data"]
    assert [one["scope"] for one in of_operator] == ["workspace"]
    group = (await counter.admin.get("/api/v1/groups/swa")).json
    assert group["in_force"][-1]["used"] == Decimal("0.05")
