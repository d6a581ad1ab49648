"""What is kept of calls: what a group says of it, who reads it, and what is left of that (P1, P2, P8, K16)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.support.asgi_client import Answer, AsgiClient
from tests.support.keeping_kit import CHAT
from tuckshop.domain.errors import ConflictError
from tuckshop.domain.keys import digest_of
from tuckshop.domain.records import Holder

pytestmark = pytest.mark.anyio

ALL = {"bodies": "all", "purpose": "exam supervision"}
REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Grüße \u202e"}]}
DAY_S = 86_400


def stream(*texts: str) -> bytes:
    chunks = [
        {"id": "c1", "choices": [{"index": 0, "delta": {"content": text}}], "usage": None}
        for text in texts
    ]
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*events, "data: [DONE]\n\n"]).encode()


def holder_of(counter: Counter, secret: str) -> Holder:
    found = counter.services.directory.find(digest_of(secret), counter.clock.now_us())
    assert found is not None
    return found


def said(
    counter: Counter,
    secret: str,
    request_id: str,
    *,
    request: Any = REQUEST,
    reply: bytes = b'{"id":"c1","n":1.50}',
    is_stream: bool = False,
) -> None:
    """A call of the holder of *secret*, as the gateway tells it."""
    tap = counter.keeper.begin(
        request_id, holder_of(counter, secret), CHAT, json.dumps(request).encode()
    )
    if tap is not None:
        tap.add(reply)
        tap.end(200, is_stream=is_stream)


async def read(client: AsgiClient, request_id: str, reason: Any = "an appeal") -> Answer:
    return await client.post(f"/api/v1/requests/{request_id}/body", {"reason": reason})


async def trail(counter: Counter, action: str) -> list[dict[str, Any]]:
    answer = await counter.admin.get("/api/v1/audit", action=action)
    found: list[dict[str, Any]] = answer.json["data"]
    return found


async def test_logging_is_off_until_purpose_days_and_readers_are_said(counter: Counter) -> None:
    """P1: and what was said is told to the holder of a key."""
    group = await counter.group()
    assert group["logging"] == {"bodies": "off", "days": 30, "purpose": "", "readers": ["owner"]}

    changed = await counter.admin.patch("/api/v1/groups/swa", {"logging": ALL})

    expected = {**ALL, "days": 30, "readers": ["owner"]}
    assert changed.json["logging"] == expected
    key = await counter.key((await counter.member())["id"])
    me = await AsgiClient(counter.app, token=key["key"]).get("/api/v1/me")
    assert {name: me.json["privacy"][name] for name in expected} == expected
    off = await counter.admin.patch("/api/v1/groups/swa", {"logging": None})
    assert off.json["logging"] == group["logging"]


async def test_an_owner_narrows_what_is_kept_and_never_widens_it(counter: Counter) -> None:
    """K6, P1."""
    await counter.group(logging={**ALL, "days": 20, "readers": ["owner", "assistant"]})
    owner = await counter.staff("owner")
    held = {**ALL, "days": 20, "readers": ["owner"]}
    for wider in (
        {"days": 21}, {"purpose": "curiosity"}, {"readers": ["owner", "viewer"]},
    ):  # fmt: skip
        answer = await owner.patch("/api/v1/groups/swa", {"logging": {**held, **wider}})
        assert answer.status == 403, answer.body
        assert "logging" in answer.json["detail"]
    for narrower in ({}, {"days": 5}, {"days": 5, "bodies": "flagged"}):
        answer = await owner.patch("/api/v1/groups/swa", {"logging": {**held, **narrower}})
        assert answer.status == 200, answer.body
    off = await owner.patch("/api/v1/groups/swa", {"logging": {"bodies": "off"}})
    assert off.json["logging"]["bodies"] == "off"
    again = await owner.patch("/api/v1/groups/swa", {"logging": {**ALL, "days": 1}})
    assert again.status == 403


async def test_a_body_is_read_with_a_reason_that_is_audited(counter: Counter) -> None:
    """K16, P8: the reason is closed with the key of the person whose body it is."""
    _, member, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1")
    owner = await counter.staff("owner")

    answer = await read(owner, "req_1", "appeal of Anna")

    assert answer.status == 200, answer.body
    found = answer.json
    assert found["request"] == REQUEST
    assert found["reply"] == {"id": "c1", "n": 1.5}
    assert '"n":1.50' in answer.body.decode()  # byte for byte, not by way of numbers
    assert (found["id"], found["member"], found["http_status"]) == ("req_1", member["id"], 200)
    assert (found["is_flagged"], found["is_cut"]) == (False, False)
    (row,) = await trail(counter, "body.read")
    assert row["object"] == member["id"]
    assert row["after"] == {"request": "req_1", "reason": "appeal of Anna"}
    assert row["actor"].startswith("token:")
    counter.person_keys.destroy([member["id"]])
    (row,) = await trail(counter, "body.read")
    assert row["after"] == {"request": "req_1", "reason": "(erased)"}
    assert (await read(owner, "req_1")).status == 410


async def test_a_stream_is_read_as_the_answer_that_it_came_to(counter: Counter) -> None:
    _, _, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1", reply=stream("Gu", "ten ", "Tag"), is_stream=True)

    found = (await read(counter.admin, "req_1")).json

    assert found["reply"]["choices"] == [{"index": 0, "message": {"content": "Guten Tag"}}]


async def test_without_a_reason_nothing_is_read(counter: Counter) -> None:
    """K16"""
    _, _, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1")

    for reason in ("", "   ", "x" * 201, None, "a\nb"):
        answer = await read(counter.admin, "req_1", reason)
        assert answer.status == 422, (reason, answer.body)
        assert answer.json["errors"][0]["field"] == "reason"
    assert await trail(counter, "body") == []


async def test_only_the_roles_that_the_group_names_read_and_the_others_try_leaves_a_row(
    counter: Counter,
) -> None:
    """K4, K16: the list names roles, and is no least one."""
    _, member, key = await counter.chain(logging={**ALL, "readers": ["assistant"]})
    said(counter, key["key"], "req_1")
    await counter.group(name="other")

    for role, status in (("viewer", 403), ("assistant", 200), ("owner", 403)):
        answer = await read(await counter.staff(role), "req_1", f"by {role}")
        assert answer.status == status, (role, answer.body)
    assert (await read(counter.admin, "req_1")).status == 200
    stranger = await counter.staff("assistant", "other")
    foreign, unknown = await read(stranger, "req_1"), await read(stranger, "req_2")
    assert (foreign.status, unknown.status) == (404, 404)
    assert foreign.body.replace(b"req_1", b"req_2") == unknown.body
    refused = await trail(counter, "body.refuse")
    assert [row["after"]["reason"] for row in refused] == ["by owner", "by viewer"]
    assert {row["object"] for row in refused} == {member["id"]}
    assert len(await trail(counter, "body.read")) == 2


async def test_what_a_group_no_longer_keeps_is_not_shown_and_deleted_at_the_next_look(
    counter: Counter,
) -> None:
    """P2: fewer days, less logging and none count at once, for what is there too."""
    _, _, key = await counter.chain(logging=ALL)
    counter.keeper.flagged("req_flagged")
    for request_id in ("req_flagged", "req_other"):
        said(counter, key["key"], request_id)
    retention = counter.services.body_retention
    assert await retention.sweep() == 0

    async def status(request_id: str) -> int:
        return (await read(counter.admin, request_id)).status

    await counter.admin.patch("/api/v1/groups/swa", {"logging": {**ALL, "bodies": "flagged"}})
    assert (await status("req_flagged"), await status("req_other")) == (200, 404)
    assert await retention.sweep() == 1
    counter.clock.advance(8 * DAY_S)
    assert await status("req_flagged") == 200
    await counter.admin.patch(
        "/api/v1/groups/swa", {"logging": {**ALL, "bodies": "flagged", "days": 7}}
    )
    assert await status("req_flagged") == 404
    assert await retention.sweep() == 1
    said(counter, key["key"], "req_never")
    await counter.admin.patch("/api/v1/groups/swa", {"logging": ALL})
    assert await status("req_flagged") == 404  # more days bring nothing back
    said(counter, key["key"], "req_new")
    assert await status("req_new") == 200
    await counter.admin.patch("/api/v1/groups/swa", {"logging": None})
    assert await status("req_new") == 404
    assert await retention.sweep() == 1


async def test_a_request_of_which_nothing_is_kept_says_so(counter: Counter) -> None:
    from tests.integration.api.test_log_and_usage import put, row
    from tuckshop.storage.schema import requests

    group, member, key = await counter.chain()
    whose = {"group_id": group["id"], "member_id": member["id"], "key_id": key["id"]}
    await put(counter, requests, [row(1, **whose)])

    there, nowhere = await read(counter.admin, "req_1"), await read(counter.admin, "req_2")

    assert there.status == nowhere.status == 404
    assert "Nothing is kept" in there.json["detail"]
    assert "There is no request" in nowhere.json["detail"]


async def test_what_is_no_json_is_told_as_text(counter: Counter) -> None:
    _, _, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1", reply=b"\xff<html>")

    assert (await read(counter.admin, "req_1")).json["reply"] == "\ufffd<html>"


async def search(client: AsgiClient, q: str, **more: Any) -> Answer:
    return await client.post("/api/v1/bodies/search", {"q": q, "reason": "leaked exam", **more})


def asking(text: str) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}


async def test_a_text_is_found_as_it_stands_and_the_search_leaves_a_row(counter: Counter) -> None:
    """P11, K5, K16: no sign of it means anything; the row tells the text and what was found."""
    group, member, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1", request=asking('say "100%_of"\nGRÜSSE'))
    counter.clock.advance(1)
    words = stream("Man", "derin", "ente")
    said(counter, key["key"], "req_2", request=asking("a"), reply=words, is_stream=True)
    counter.clock.advance(1)
    said(counter, key["key"], "req_3", request=asking("data:image/png;base64," + "grüsse" * 99))

    async def found(q: str, **more: Any) -> list[str]:
        answer = await search(counter.admin, q, **more)
        assert answer.status == 200, answer.body
        return [hit["id"] for hit in answer.json["data"]]

    assert await found('"100%_of"\ngrüsse') == ["req_1"]
    assert await found("mandarinente") == []
    assert await found("Manderinente") == ["req_2"]
    assert await found("%") == ["req_1"]
    assert await found("grüsse") == ["req_1"]  # not in a picture
    assert await found("gpt-4o-mini") == ["req_3", "req_2", "req_1"]
    assert await found("gpt-4o-mini", member=member["id"], since="2099-01-01") == []
    assert await found(".*") == []
    rows = await trail(counter, "body.search")
    assert len(rows) == 8
    last = rows[-1]["after"]
    assert (last["query"], last["reason"]) == ('"100%_of"\ngrüsse', "leaked exam")
    assert (last["hits"], last["requests"], last["looked_at"]) == (1, ["req_1"], 3)
    assert rows[1]["object"] == member["id"]
    counter.person_keys.destroy([member["id"]])
    assert (await trail(counter, "body.search"))[1]["after"]["query"] == "(erased)"
    answer = await search(counter.admin, "gpt", group=group["id"])
    assert (answer.json["data"], answer.json["unreadable"]) == ([], 3)


async def test_a_search_goes_on_page_by_page_and_none_is_missed(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuckshop.services.body_search.LOOKED_AT_MAX", 30)
    _, _, key = await counter.chain(logging=ALL)
    for number in range(70):
        said(counter, key["key"], f"req_{number:02}", request=asking(f"number {number % 2}"))

    found: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        more: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        page = (await search(counter.admin, "number 1", limit=10, **more)).json
        found += [hit["id"] for hit in page["data"]]
        cursor, pages = page["next_cursor"], pages + 1

    assert found == [f"req_{number:02}" for number in range(69, 0, -2)]
    assert pages >= 4
    for wrong in ("x", "MTI", "OjE"):
        assert (await search(counter.admin, "a", cursor=wrong)).status == 422


async def test_a_search_finds_only_what_the_caller_may_read(counter: Counter) -> None:
    """K4, K5, P11: a refused one leaves a row too."""
    _, _, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1", request=asking("the word"))
    await counter.group(name="other", logging={**ALL, "readers": ["assistant"]})
    member = await counter.member("other", external_id="4712")
    there = await counter.key(member["id"])
    said(counter, there["key"], "req_2", request=asking("the word"))
    owner = await counter.staff("owner", "swa", "other")

    everywhere = await search(owner, "the word")
    named = await search(owner, "the word", group="other")
    stranger = await search(await counter.staff("owner"), "the word", member=member["id"])

    assert [hit["id"] for hit in everywhere.json["data"]] == ["req_1"]
    assert (named.status, stranger.status) == (403, 404)
    (refused,) = await trail(counter, "body.refuse")
    assert refused["after"] == {"query": "the word", "reason": "leaked exam"}
    everything = await search(counter.admin, "the word")
    assert {hit["id"] for hit in everything.json["data"]} == {"req_1", "req_2"}
    assert (await search(owner, "")).status == 422
    assert (await search(owner, "x", reason=" ")).status == 422


async def test_a_legal_hold_stops_deletion_and_normal_reading(counter: Counter) -> None:
    """P2 (Art. 18): until somebody releases it, with a reason each time; the operator alone reads."""
    _, member, key = await counter.chain(logging=ALL)
    said(counter, key["key"], "req_1", request=asking("the word"))
    owner = await counter.staff("owner")
    retention = counter.services.body_retention

    made = await owner.post("/api/v1/holds", {"member": member["id"], "reason": "a complaint"})

    assert made.status == 201, made.body
    hold = made.json
    assert (hold["member"], hold["released_at"]) == (member["id"], None)
    assert (await read(owner, "req_1")).status == 403
    assert (await search(owner, "the word")).json["data"] == []
    await counter.admin.patch("/api/v1/groups/swa", {"logging": None})
    assert await retention.sweep() == 0
    assert (await read(counter.admin, "req_1")).status == 200
    assert [row["id"] for row in (await owner.get("/api/v1/holds")).json["data"]] == [hold["id"]]

    path = f"/api/v1/holds/{hold['id']}/release"
    released = await owner.post(path, {"reason": "settled"})

    assert released.status == 200, released.body
    assert (await owner.post(path, {"reason": "settled"})).status == 409
    assert (await owner.get("/api/v1/holds")).json["data"] == []
    assert len((await owner.get("/api/v1/holds", state="released")).json["data"]) == 1
    assert await retention.sweep() == 1
    rows = await trail(counter, "hold")
    assert [(row["action"], row["after"]["reason"]) for row in rows] == [
        ("hold.release", "settled"),
        ("hold.set", "a complaint"),
    ]


async def test_a_hold_names_one_thing_that_there_is_and_is_the_owners_to_set(
    counter: Counter,
) -> None:
    """K4, K5."""
    group, member, _ = await counter.chain()
    await counter.group(name="other")
    owner, assistant = await counter.staff("owner", "other"), await counter.staff("assistant")
    for body in ({}, {"group": "swa", "member": member["id"]}):
        answer = await counter.admin.post("/api/v1/holds", {"reason": "x", **body})
        assert answer.status == 422, answer.body
    for body in ({"group": "swa"}, {"member": member["id"]}, {"group": "nosuch"}):
        assert (await owner.post("/api/v1/holds", {"reason": "x", **body})).status == 404
    assert (await assistant.post("/api/v1/holds", {"group": "swa", "reason": "x"})).status == 403
    made = await counter.admin.post("/api/v1/holds", {"group": "swa", "reason": "x"})
    assert (made.json["group"], made.json["member"]) == (group["id"], None)
    foreign = await owner.post(f"/api/v1/holds/{made.json['id']}/release", {"reason": "x"})
    assert foreign.status == 404
    with pytest.raises(ConflictError):
        await counter.services.holds.refuse_if_held([member["id"]])
