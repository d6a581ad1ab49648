"""Grants and `carry_over` by the admin API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.support.ledger_kit import CENT, Person, hold, settlement
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.reservation import Amounts
from tuckshop.services.standing import limits_of_member

TO_JANUARY_S = 42 * 86_400  # the clock of these tests begins on 24 November


async def spend(counter: Counter, member: dict[str, Any], cents: int) -> None:
    """A call of the member's, admitted and settled."""
    directory = counter.services.directory
    found = directory.member(member["id"], OPERATOR)
    limits = limits_of_member(found, directory.group_of(found), directory.workspace)
    granted = await counter.ledger.reserve(
        hold(
            *(limit for limit in limits if limit.scope.kind != "key"),
            person=Person("key_x", found.id, found.group_id),
            version=directory.version,
            fees=cents * CENT,
            input_tokens=0,
            wanted=0,
        )
    )
    counter.ledger.settle(settlement(granted.request_id, Amounts(cost_nano=cents * CENT)))


async def remaining(counter: Counter, member: dict[str, Any]) -> float:
    shown = await counter.admin.get(f"/api/v1/members/{member['id']}")
    return float(shown.json["in_force"][0]["remaining"])


async def test_a_grant_is_shown_with_what_each_limit_has_left_of_it(counter: Counter) -> None:
    await counter.group(each=["$0.20/month", "$0.10/day", "$1/5 hours"], time_zone="Europe/Berlin")
    member = await counter.member()
    path = f"/api/v1/members/{member['id']}/grants"

    made = await counter.admin.post(
        path, {"amount_usd": 0.5, "until": "2026-12-31", "reason": "project week"}
    )

    assert made.status == 201, made.body
    assert (made.json["amount_usd"], made.json["reason"], made.json["state"]) == (
        0.5,
        "project week",
        "active",
    )
    assert made.json["until"] == "2026-12-31T23:00:00Z"  # the end of that day in Berlin
    assert made.json["left"] == [
        {"limit": "$0.20/month", "left_usd": 0.5},
        {"limit": "$0.10/day", "left_usd": 0.5},
    ]
    await spend(counter, member, 30)
    listed = await counter.admin.get(path)
    assert [float(one["left_usd"]) for one in listed.json["data"][0]["left"]] == [0.4, 0.3]
    shown = await counter.admin.get(f"/api/v1/members/{member['id']}")
    assert {one["limit"]: float(one["remaining"]) for one in shown.json["in_force"]} == {
        "$0.20/month": 0.4,
        "$0.10/day": 0.3,
        "$1/5 hours": 0.7,
    }
    assert [one.get("lifted") for one in shown.json["in_force"]] == [0.5, 0.5, None]
    counter.clock.advance(60 * 86_400)
    (past,) = (await counter.admin.get(path)).json["data"]
    assert (past["state"], past["left"]) == ("past", [])
    audit = (await counter.admin.get("/api/v1/audit", action="member.grant")).json["data"]
    assert [(row["object"], float(row["after"]["amount_usd"])) for row in audit] == [
        (member["id"], 0.5)
    ]


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"amount_usd": 0}, "amount_usd", "above 0"),
        ({"amount_usd": -1}, "amount_usd", "above 0"),
        ({"amount_usd": 0.0000000001}, "amount_usd", "nine decimals"),
        ({"amount_usd": "NaN"}, "amount_usd", "above 0"),
        ({"amount_usd": 1e300}, "amount_usd", "above 0"),
        ({"amount_usd": 99999999999}, "amount_usd", "more than can be counted"),
        ({"amount_usd": 1, "until": "2020-01-01"}, "until", "is past"),
        ({"amount_usd": 1, "until": "2020-01-01T00:00:00Z"}, "until", "is past"),
        ({"amount_usd": 1, "until": "2026-02-30"}, "until", "not a time"),
        ({"amount_usd": 1, "until": "tomorrow"}, "until", "not a time"),
        ({"amount_usd": 1, "reason": "x" * 999}, "reason", "too long"),
        ({}, "", "amount_usd"),
        ({"amount_usd": 1, "limit": "$1/month"}, "", "limit"),
    ],
)
async def test_what_cannot_be_granted_is_told(
    counter: Counter, fields: dict[str, Any], field: str, said: str
) -> None:
    await counter.group()
    member = await counter.member()
    path = f"/api/v1/members/{member['id']}/grants"

    answer = await counter.admin.post(path, fields)

    assert answer.status == 422, answer.body
    assert said in answer.body.decode()
    assert (await counter.admin.get(path)).json["data"] == []


async def test_a_whole_group_gets_a_grant_in_one_call(counter: Counter) -> None:
    await counter.group(each=["$0.20/month"])
    members = [await counter.member(external_id=str(number)) for number in range(5)]
    await counter.admin.delete(f"/api/v1/members/{members[4]['id']}")

    answer = await counter.admin.post("/api/v1/groups/swa/grants", {"amount_usd": 0.5})

    assert answer.status == 201, answer.body
    assert {one["member"] for one in answer.json["data"]} == {one["id"] for one in members[:4]}
    listed = await counter.admin.get("/api/v1/groups/swa/members")
    assert [float(one["in_force"][0]["remaining"]) for one in listed.json["data"]] == [0.7] * 4


async def test_some_of_a_group_are_named_by_id_or_external_id(counter: Counter) -> None:
    await counter.group()
    members = [await counter.member(external_id=str(number)) for number in range(3)]
    body = {"amount_usd": 0.5, "members": ["1", members[0]["id"], "1"]}

    made = await counter.admin.post("/api/v1/groups/swa/grants", body)
    refused = await counter.admin.post(
        "/api/v1/groups/swa/grants", {**body, "members": ["2", "nobody"]}
    )

    assert [one["member"] for one in made.json["data"]] == [members[1]["id"], members[0]["id"]]
    assert refused.status == 422
    assert "members[1]" in refused.body.decode()
    assert (await counter.admin.get(f"/api/v1/members/{members[2]['id']}/grants")).json[
        "data"
    ] == []


async def test_grants_are_listed_page_by_page(counter: Counter) -> None:
    await counter.group()
    member = await counter.member()
    path = f"/api/v1/members/{member['id']}/grants"
    for cents in (1, 2, 3):
        counter.clock.advance(1)
        await counter.admin.post(path, {"amount_usd": cents / 100})

    first = (await counter.admin.get(path, limit=2)).json
    rest = (await counter.admin.get(path, limit=2, cursor=first["next_cursor"])).json

    assert [float(one["amount_usd"]) for one in first["data"] + rest["data"]] == [0.01, 0.02, 0.03]
    assert rest["next_cursor"] is None


async def test_an_archived_member_is_granted_nothing(counter: Counter) -> None:
    await counter.group()
    member = await counter.member()
    await counter.admin.delete(f"/api/v1/members/{member['id']}")

    answer = await counter.admin.post(f"/api/v1/members/{member['id']}/grants", {"amount_usd": 1})

    assert answer.status == 409


async def test_a_group_carries_money_over_from_when_it_says_so(counter: Counter) -> None:
    group = await counter.group(each=["$0.20/month"])
    member = await counter.member()
    assert group["carry_over"] is None

    changed = await counter.admin.patch("/api/v1/groups/swa", {"carry_over": "$0.5"})

    assert changed.json["carry_over"] == "$0.50"
    await spend(counter, member, 5)
    counter.clock.advance(TO_JANUARY_S)
    assert await remaining(counter, member) == 0.55
    await counter.admin.patch("/api/v1/groups/swa", {"carry_over": "$0.01"})
    assert await remaining(counter, member) == 0.21
    await counter.admin.patch("/api/v1/groups/swa", {"carry_over": None})
    await counter.admin.patch("/api/v1/groups/swa", {"carry_over": "$1"})
    assert await remaining(counter, member) == 0.2  # since now, not since November


async def test_who_came_later_saved_nothing_before(counter: Counter) -> None:
    await counter.group(each=["$0.20/month"], carry_over="$5")
    counter.clock.advance(TO_JANUARY_S)
    member = await counter.member()
    counter.clock.advance(30 * 86_400)

    assert await remaining(counter, member) == 0.4


@pytest.mark.parametrize("amount", ["1", "€1", "$1/month", "$-1", "", "$1 on gpt-4o", "3 requests"])
async def test_a_carry_over_is_an_amount_of_dollars(counter: Counter, amount: str) -> None:
    answer = await counter.admin.post("/api/v1/groups", {"name": "swa", "carry_over": amount})

    assert answer.status == 422
    assert "such as $0.50" in answer.body.decode()
