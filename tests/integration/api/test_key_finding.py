"""Whose key is this?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tuckshop.domain.actor import Actor
from tuckshop.domain.keys import new_secret

pytestmark = pytest.mark.anyio


async def find(counter: Counter, text: str) -> list[dict[str, Any]]:
    answer = await counter.admin.post("/api/v1/keys/find", {"text": text})
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["data"]
    return found


async def test_a_leaked_key_is_told_with_its_owner_and_never_told_back(counter: Counter) -> None:
    """K1: whose it is, in which state, what it spent."""
    group, member, key = await counter.chain()

    answer = await counter.admin.post("/api/v1/keys/find", {"text": key["key"] + "\n"})

    (found,) = answer.json["data"]
    assert key["key"].encode() not in answer.body
    assert found["seen"] == f"sk-tuck-…{key['last4']}"
    assert (found["verdict"], found["opens"], found["key"]["id"]) == ("current", True, key["id"])
    assert found["owner"] == {
        "group": group["name"],
        "member": member["id"],
        "external_id": "4711",
        "name": None,
        "email": None,
        "state": "active",
        "spent_usd": 0,
    }


async def test_keys_are_found_in_any_text_and_told_apart(counter: Counter) -> None:
    """K1."""
    _, member, key = await counter.chain()
    old = await counter.key(member["id"])
    await counter.admin.post(f"/api/v1/keys/{old['id']}/rotate", {"overlap": "1h"})
    stranger = new_secret()
    typo = key["key"][:-1] + ("0" if key["key"][-1] != "0" else "1")

    found = await find(
        counter,
        f"""OPENAI_API_KEY="{key["key"]}"  # {key["key"]} again
        client = OpenAI(api_key='{old["key"]}', base_url='…/v1'); keys = [{stranger}, {typo}]
        curl -H 'Authorization: Bearer sk-proj-Ab12_cd-34EF56'; task-list; risk-sk-1""",
    )

    assert [one["verdict"] for one in found] == [
        *("current", "previous", "unknown", "mistyped", "foreign"),
    ]
    assert found[1]["key"]["id"] == old["id"]
    assert found[1]["opens"]
    assert found[1]["opens_until"] is not None
    assert found[4]["seen"] == "sk-pr…EF56"
    counter.clock.advance(3_600)
    assert [one["opens"] for one in await find(counter, old["key"])] == [False]


@pytest.mark.parametrize("verb", ["keys/{key}/pause", "members/{member}/pause", "groups/swa/pause"])
async def test_a_key_that_does_not_open_says_so(counter: Counter, verb: str) -> None:
    _, member, key = await counter.chain()
    await counter.admin.post("/api/v1/" + verb.format(key=key["id"], member=member["id"]))

    assert [one["opens"] for one in await find(counter, key["key"])] == [False]


async def test_staff_of_another_group_are_told_of_no_key_of_this_one(counter: Counter) -> None:
    """K5."""
    _, _, key = await counter.chain()
    staff = Actor(kind="token", role="owner", groups=frozenset({"grp_other"}))

    found = await counter.services.key_finding.find(staff, key["key"])

    assert [(one.verdict, one.key, one.owner) for one in found.data] == [("unknown", None, None)]


@pytest.mark.parametrize(
    "text", ["nothing in here", "sk- sk-a\n", "", " ".join(f"sk-{n:05}" for n in range(300))]
)
async def test_text_without_keys_or_with_too_many_is_refused(counter: Counter, text: str) -> None:
    answer = await counter.admin.post("/api/v1/keys/find", {"text": text})

    assert answer.status == 422
