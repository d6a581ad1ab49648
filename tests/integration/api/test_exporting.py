"""Telling a person everything about themselves: what is told, to whom, and the rows that it leaves (P4, P11, K16)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.integration.api.test_corrections import Caller
from tests.integration.api.test_flags import Said, resolve
from tests.integration.api.test_kept_bodies import ALL, DAY_S, REQUEST, said, stream, trail
from tests.support.asgi_client import AsgiClient
from tests.support.ledger_kit import Person
from tuckshop.services.shapes.exporting import ExportedMember
from tuckshop.storage.schema import metadata

pytestmark = pytest.mark.anyio

OTHER = "somebody-else"


async def export(client: AsgiClient, member_id: str, *, status: int = 200) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/export/members/{member_id}")
    assert answer.status == status, answer.body
    found: list[dict[str, Any]] = answer.json["data"] if status == 200 else []
    return found


async def bodies(
    client: AsgiClient, member_id: str, reason: str = "asked for by letter", *, status: int = 200
) -> list[dict[str, Any]]:
    answer = await client.post(f"/api/v1/export/members/{member_id}/bodies", {"reason": reason})
    assert answer.status == status, answer.body
    return [json.loads(line) for line in answer.body.splitlines()] if status == 200 else []


async def test_a_person_is_told_what_there_is_in_each_of_their_groups(counter: Counter) -> None:
    """P4, P11: by the external id, and nothing of others."""
    _, member, key = await counter.chain(logging=ALL, title="Software architecture")
    await counter.group(name="lab")
    again = await counter.member("lab", name="Ada")
    await counter.member(external_id=OTHER, name="Otto")
    path = f"/api/v1/members/{member['id']}"
    grant = {"amount_usd": 0.5, "until": "2099-12-31", "reason": "she was ill"}
    assert (await counter.admin.post(f"{path}/grants", grant)).status == 201
    assert (await counter.admin.post(f"{path}/claim-links")).status == 201
    said(counter, key["key"], "req_1")

    found = await export(counter.admin, member["id"])

    assert [one["member"]["id"] for one in found] == [member["id"], again["id"]]
    first, second = found
    assert first["group"]["title"] == "Software architecture"
    assert first["group"]["logging"]["purpose"] == ALL["purpose"]
    assert [one["last4"] for one in first["keys"]] == [key["last4"]]
    assert [one["state"] for one in first["links"]] == ["open"]
    (entry,) = first["entries"]
    assert (entry["kind"], entry["amount_usd"], entry["reason"]) == ("grant", 0.5, "she was ill")
    assert entry["by"] == "operator"
    assert first["bodies"] == {"kept": 1, "readable": True, "why_not": None}
    assert {row["action"] for row in first["trail"]} >= {
        *("member.create", "key.create", "member.grant", "claim.create", "member.export")
    }
    assert (second["member"]["name"], second["keys"]) == ("Ada", [])
    text = str(found)
    assert OTHER not in text
    assert "Otto" not in text
    assert key["key"] not in text
    assert "digest" not in text


async def test_what_was_flagged_and_said_to_it_is_told(counter: Counter) -> None:
    """P4: flags, the calls, the strike's words, appeals, and that staff were told."""
    group, member, key = await counter.chain()
    hook = {"url": "https://hooks.example/tuckshop"}
    assert (await counter.admin.post("/api/v1/webhooks", hook)).status == 201
    says = Said(counter, group, member, key)
    flag = await says("how to hurt somebody")
    await says("how to hurt somebody")
    appeal = {"reason": "it was an exercise"}
    path = f"/api/v1/moderation/flags/{flag['id']}/appeal"
    assert (await counter.admin.post(path, appeal)).status in (200, 201)
    await resolve(counter, flag, reason="she explained it")

    (one,) = await export(counter.admin, member["id"])

    (told,) = one["flags"]
    assert (told["id"], told["repeats"], told["reason"]) == (flag["id"], 2, "she explained it")
    assert told["requests"] == ["req_1", "req_2"]
    assert [(row["reason"], row["flag"]) for row in one["appeals"]] == [
        ("it was an exercise", flag["id"])
    ]
    assert {row["kind"] for row in one["notices"]} >= {"flag"}
    assert "how to hurt" not in str(one)


async def test_what_they_wrote_is_opened_for_a_reason_that_stays(counter: Counter) -> None:
    """K16, P4: each call on a line of its own, byte for byte; the row is there before the first line."""
    _, member, key = await counter.chain(logging=ALL)
    spaced = b'{\n "id": "c1",\n "n": 1.50\n}'
    said(counter, key["key"], "req_1", reply=spaced)
    counter.clock.advance(1)
    said(counter, key["key"], "req_2", reply=stream("Gu", "ten Tag"), is_stream=True)
    counter.clock.advance(1)
    said(counter, key["key"], "req_3", reply=b"\xff no JSON\n")
    counter.clock.advance(1)
    said(counter, key["key"], "req_4", reply=b"[" * 5000 + b"]" * 5000)
    counter.clock.advance(1)
    said(counter, key["key"], "req_5", reply=b'{"id":"\xff"}')

    found = await bodies(counter.admin, member["id"])

    assert [one["id"] for one in found] == [f"req_{n}" for n in (5, 4, 3, 2, 1)]
    assert all(one["request"] == REQUEST for one in found)
    assert found[-1]["reply"] == {"id": "c1", "n": 1.5}
    assert found[-2]["reply"]["choices"][0]["message"]["content"] == "Guten Tag"
    assert found[2]["reply"] == "\ufffd no JSON\n"
    assert found[1]["reply"] == "[" * 5000 + "]" * 5000
    assert found[0]["reply"] == '{"id":"\ufffd"}'
    (row,) = await trail(counter, "body.export")
    assert row["object"] == member["id"]
    assert row["after"] == {"bodies": 5, "reason": "asked for by letter"}
    (one,) = await export(counter.admin, member["id"])
    assert [row["action"] for row in one["reads"]] == ["body.export", "member.export"]


async def test_without_a_reason_nothing_is_opened(counter: Counter) -> None:
    """K16"""
    _, member, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1")

    for reason in ("", "   ", "x" * 201, "a\nb"):
        await bodies(counter.admin, member["id"], reason, status=422)
    assert await trail(counter, "body") == []


async def test_a_request_of_the_person_makes_no_reader_of_who_is_none(counter: Counter) -> None:
    """K4, K16: and the try leaves a row."""
    _, member, key = await counter.chain(logging={**ALL, "readers": ["assistant"]})
    said(counter, key["key"], "req_1")
    owner = await counter.staff("owner")

    (one,) = await export(owner, member["id"])
    assert one["bodies"]["kept"] == 1
    assert not one["bodies"]["readable"]
    assert one["bodies"]["why_not"].startswith("Bodies of this group are read by: assistant.")
    await bodies(owner, member["id"], status=403)
    (row,) = await trail(counter, "body.refuse")
    assert row["after"]["reason"] == "asked for by letter"
    assert len(await bodies(counter.admin, member["id"])) == 1


async def test_what_is_held_is_opened_by_the_operator_alone(counter: Counter) -> None:
    """P2: also what the group keeps no more."""
    _, member, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1")
    owner = await counter.staff("owner")
    assert len(await bodies(owner, member["id"])) == 1
    hold = {"member": member["id"], "reason": "a lawsuit"}
    assert (await counter.admin.post("/api/v1/holds", hold)).status == 201
    assert (await counter.admin.patch("/api/v1/groups/swa", {"logging": None})).status == 200

    (one,) = await export(owner, member["id"])

    assert (one["bodies"]["kept"], one["bodies"]["readable"]) == (1, False)
    assert [row["member"] for row in one["holds"]] == [member["id"]]
    await bodies(owner, member["id"], status=403)
    assert len(await bodies(counter.admin, member["id"])) == 1


async def test_what_is_kept_no_more_is_not_told(counter: Counter) -> None:
    """P2: though it may lie there until the next look."""
    _, member, key = await counter.chain(logging=ALL)
    counter.keeper.flagged("req_flagged")
    for request_id in ("req_flagged", "req_other"):
        said(counter, key["key"], request_id)
    await counter.admin.patch("/api/v1/groups/swa", {"logging": {**ALL, "bodies": "flagged"}})

    (one,) = await export(counter.admin, member["id"])

    assert one["bodies"]["kept"] == 1
    assert [row["id"] for row in await bodies(counter.admin, member["id"])] == ["req_flagged"]
    counter.clock.advance(31 * DAY_S)
    (one,) = await export(counter.admin, member["id"])
    assert one["bodies"]["kept"] == 0
    assert await bodies(counter.admin, member["id"]) == []


async def test_who_read_it_is_told_and_of_a_wide_search_only_their_own(counter: Counter) -> None:
    """P6, P11, K16: when, who, which of their calls; the words of the search may be about others."""
    group, member, key = await counter.chain(logging=ALL)
    await counter.member(external_id=OTHER)
    caller = Caller(counter, Person(key["id"], member["id"], group["id"]))
    own = await caller.call()
    said(counter, key["key"], own)
    owner = await counter.staff("owner")
    read = await owner.post(f"/api/v1/requests/{own}/body", {"reason": "appeal of Ada"})
    assert read.status == 200, read.body
    asked = {"q": "Grüße", "reason": "somebody said that Otto cheats"}
    assert (await counter.admin.post("/api/v1/bodies/search", asked)).json["data"]

    (one,) = await export(owner, member["id"])

    first, second, third = one["reads"]
    assert (first["action"], first["after"]["reason"]) == ("body.read", "appeal of Ada")
    assert first["actor"].startswith("token:")
    assert (second["action"], second["actor"]) == ("body.search", "operator")
    assert second["after"] == {"requests": [own]}
    assert third["action"] == "member.export"
    assert "Otto" not in str(one)
    assert one["calls"] == 1


async def test_an_owner_tells_what_is_in_their_groups(counter: Counter) -> None:
    """K5, P11"""
    _, member, _ = await counter.chain()
    await counter.group(name="lab")
    again = await counter.member("lab")
    owner = await counter.staff("owner")

    found = await export(owner, member["id"])

    assert [one["group"]["name"] for one in found] == ["swa"]
    await export(owner, again["id"], status=404)
    await bodies(owner, again["id"], status=404)
    assert [row["object"] for row in await trail(counter, "member.export")] == [member["id"]]


async def test_where_names_are_hidden_a_member_is_told_alone_under_the_pseudonym(
    counter: Counter,
) -> None:
    """P11: as whom else they are known is opened for a reason, and then told of each."""
    _, member, _ = await counter.chain()
    for name in ("lab", "open"):
        await counter.group(name=name)
    lab = await counter.member("lab", name="Canaria", email="canary@mail.example")
    await counter.member("open", name="Canaria")
    hide = await counter.admin.patch("/api/v1/groups/lab", {"pseudonyms": True})
    assert hide.status == 200, hide.body

    (hidden,) = await export(counter.admin, lab["id"])
    shown = await export(counter.admin, member["id"])

    assert hidden["member"]["external_id"] != "4711"
    assert "anari" not in str(hidden)
    assert "canary@" not in str(hidden)
    assert [one["group"]["name"] for one in shown] == ["swa", "open"]
    opened = await counter.admin.post(
        f"/api/v1/members/{lab['id']}/identity", {"reason": "asked for by letter"}
    )
    assert {one["member"] for one in opened.json["others"]} == {
        one["member"]["id"] for one in shown
    }


async def test_an_erased_person_is_nobody_elses_other_self(counter: Counter) -> None:
    """P4, P11: all who are erased are shown by one word, and are not one person for that."""
    ids = []
    await counter.group()
    for number in ("4711", "4712"):
        ids.append((await counter.member(external_id=number))["id"])
        gone = {"reason": "asked for by letter"}
        assert (await counter.admin.post(f"/api/v1/erase/members/{ids[-1]}", gone)).status == 200

    assert len(await export(counter.admin, ids[0])) == 1
    opened = await counter.admin.post(f"/api/v1/members/{ids[0]}/identity", {"reason": "a test"})
    assert opened.json["others"] == []
    found = await counter.admin.post(
        "/api/v1/identities", {"external_id": "(erased)", "reason": "a test"}
    )
    assert found.json["data"] == []


async def test_of_an_erased_person_is_told_that_they_were(counter: Counter) -> None:
    """P4"""
    _, member, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1")
    gone = {"reason": "asked for by letter"}
    erased = await counter.admin.post(f"/api/v1/erase/members/{member['id']}", gone)
    assert erased.status == 200, erased.body

    (one,) = await export(counter.admin, member["id"])

    assert one["erased_at"] is not None
    assert one["member"]["external_id"] == "(erased)"
    assert one["bodies"]["kept"] == 0
    assert await bodies(counter.admin, member["id"]) == []


async def test_whose_data_was_read_since_when_is_one_question(counter: Counter) -> None:
    """P6, K16: for whoever has to report a breach."""
    _, member, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1")
    owner = await counter.staff("owner")
    await owner.post("/api/v1/requests/req_1/body", {"reason": "a look"})
    counter.clock.advance(DAY_S)
    await bodies(owner, member["id"])
    await counter.admin.post("/api/v1/bodies/search", {"q": "x", "reason": "a leak"})

    async def reads(client: AsgiClient, **query: Any) -> list[str]:
        answer = await client.get("/api/v1/audit", reads="true", **query)
        assert answer.status == 200, answer.body
        return [row["action"] for row in answer.json["data"]]

    every = ["body.search", "body.export", "body.read"]
    assert await reads(counter.admin) == every
    day = (await trail(counter, "body.export"))[0]["at"]
    assert await reads(counter.admin, since=day) == every[:2]
    assert await reads(counter.admin, until=day) == every[2:]
    assert await reads(counter.admin, object=member["id"]) == every[1:]
    others = await counter.admin.get("/api/v1/audit", reads="false")
    assert not {row["action"] for row in others.json["data"]} & set(every)


# Table → the fields of the export that tell what it holds about a member, or why it tells a member nothing.
TOLD = {
    "appeals": ("appeals",),
    "claims": ("links",),
    "flags": ("flags",),
    "folded": ("usage",),
    "holds": ("holds",),
    "keys": ("keys",),
    "mails": ("mails",),
    "notices": ("notices",),
    "requests": ("calls",),
    "usage_buckets": ("usage",),
    "usage_days": ("usage",),
    "usage_spans": ("usage",),
}


def test_every_table_that_names_a_member_is_told() -> None:
    """P4: a new one has to be thought of here."""
    naming = {table.name for table in metadata.sorted_tables if "member_id" in table.c}

    assert naming == set(TOLD)
    fields = set(ExportedMember.__struct_fields__)
    assert {field for told in TOLD.values() for field in told} <= fields
