"""Groups that hide from staff who their members are, until a reason opens it (P11, K16)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.integration.api.conftest import pseudonym_of as told_upstream
from tests.integration.api.test_log_and_usage import bucket, put, row
from tests.integration.api.test_roles import BODIES, flag_row
from tests.support.asgi_client import Answer, AsgiClient
from tuckshop.api.app import all_routes
from tuckshop.api.routing import CSV_TYPE, JSON_TYPE, Route
from tuckshop.domain.actor import STAFF_ROLES
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.pseudonyms import pseudonym_of
from tuckshop.storage.schema import deliveries, flags, mails, requests, usage_buckets

pytestmark = pytest.mark.anyio

ROUTES = [route for route in all_routes(lambda: None) if route.role in STAFF_ROLES]
# What tells who somebody is, and is meant to: each for a reason.
OPENING = {
    "/api/v1/members/{member}/identity",
    "/api/v1/identities",
    "/api/v1/groups/{group}/unmask",
    "/api/v1/workspace/unmask",
}
REASON = "their key does not open"


def canaries(name: str) -> dict[str, str]:
    """Who the member of a group is."""
    return {
        "external_id": f"{name}-4711",
        "name": f"{name.title()} Lovelace",
        "email": f"{name}.lovelace@example.org",
    }


def tells(answer: Answer, who: Mapping[str, str]) -> list[str]:
    """What of *who* stands in it, however it is written."""
    body = answer.body.decode().casefold()
    return [value for value in who.values() if value.casefold() in body]


async def hidden(counter: Counter, name: str, number: int = 1, **fields: Any) -> dict[str, str]:
    """A group that hides its only member, with something of each kind; ids of its objects by what a path calls them."""
    who = canaries(f"canary{number}")
    group = await counter.group(name=name, each=["$1/month"], shared=["$50/month"], **fields)
    member = await counter.member(name, **who)
    key = await counter.key(member["id"], name="laptop", tags=["exam"])
    token = await counter.token("viewer", name, name=f"{name}-viewer")
    await counter.admin.post(f"/api/v1/members/{member['id']}/grants", {"amount_usd": 1})
    whose = {"group_id": group["id"], "member_id": member["id"], "key_id": key["id"]}
    await put(counter, requests, [row(number, **whose)])
    await put(counter, usage_buckets, [bucket(1, **whose, cost=number)])
    mail: dict[str, Any] = {
        "workspace_id": DEFAULT_WORKSPACE,
        "id": f"mai_{number}",
        "kind": "invite",
    }
    mail |= {"group_id": group["id"], "member_id": member["id"], "recipient": who["email"]}
    mail |= {"template": "en", "state": "failed", "queued_at": 1, "due_at": 1, "attempts": 1}
    mail |= {"told": f"550 5.1.1 <{who['email']}>: no such user"}
    await put(counter, mails, [mail])
    await put(counter, flags, [flag_row(number, "words", **whose)])
    url = "https://localhost:1/hook"  # which is not dialled: it is not public
    webhook = await counter.admin.post("/api/v1/webhooks", {"url": url, "groups": [name]})
    sent = {"id": f"dlv_{number}", "webhook_id": webhook.json["id"], "notice_id": f"ntc_{number}"}
    about = {"group": group["id"], "member": member["id"], "flag": f"flg_{number}"}
    sent |= {"workspace_id": DEFAULT_WORKSPACE, "kind": "flag", "state": "dead", "attempts": 1}
    sent |= {"body": json.dumps({"type": "flag", "data": about}), "told": "404"}
    await put(counter, deliveries, [{**sent, "queued_at": 1, "due_at": 1}])
    held = await counter.admin.post("/api/v1/holds", {"member": member["id"], "reason": "a suit"})
    changed = await counter.admin.patch(f"/api/v1/groups/{name}", {"pseudonyms": True})
    assert changed.status == 200, changed.body
    return {
        "group": group["id"],
        "member": member["id"],
        "key": key["id"],
        "secret": key["key"],
        "token": token["id"],
        "request": f"req_{number}",
        "mail": f"mai_{number}",
        "flag": f"flg_{number}",
        "webhook": webhook.json["id"],
        "hold": held.json["id"],
    }


async def call(client: AsgiClient, route: Route, names: Mapping[str, str]) -> list[Answer]:
    """The answers of *route* in every form that it has."""
    path = re.sub(r"\{([a-z]+)\}", lambda found: names.get(found[1], "nosuch"), route.path)
    if route.method != "GET":
        if JSON_TYPE in route.media_types:
            return [await client.send(route.method, path, body=BODIES.get(route.path, {}))]
        return [
            await client.send(
                route.method,
                path,
                raw=b"external_id\n4712\n",
                headers={"content-type": CSV_TYPE},
            )
        ]
    forms = ["application/json", *route.table_types]
    return [await client.send("GET", path, headers={"accept": form}) for form in forms]


@pytest.mark.parametrize("role", STAFF_ROLES)
async def test_no_answer_to_staff_of_any_role_names_a_member(counter: Counter, role: str) -> None:
    """P11: every route there is, in every form; only what is asked with a reason tells."""
    names = await hidden(counter, "quiet")
    who = canaries("canary1")

    for number, route in enumerate(ROUTES, 2):
        if route.path in OPENING:
            continue
        if route.method == "GET":
            client = counter.admin if role == "operator" else await counter.staff(role, "quiet")
            answers = await call(client, route, names)
        elif route.scope == "group":
            # What it does may close the door for the next one.
            name = f"quiet-{number}"
            fresh, who = await hidden(counter, name, number), canaries(f"canary{number}")
            client = counter.admin if role == "operator" else await counter.staff(role, name)
            answers = await call(client, route, fresh)
        else:
            continue
        for answer in answers:
            assert not tells(answer, who), (route.method, route.path, answer.body)
        who = canaries("canary1")


async def test_the_workspace_hides_the_members_of_all_groups(counter: Counter) -> None:
    """P11."""
    member = await _open_member(counter)
    await counter.admin.patch("/api/v1/workspace", {"pseudonyms": True})

    shown = (await counter.admin.get(f"/api/v1/members/{member['id']}")).json

    assert shown["external_id"] == pseudonym_of(member["id"])
    assert (shown["name"], shown["email"], shown["pseudonymous"]) == (None, None, True)
    refused = await counter.admin.post("/api/v1/groups/swa/unmask", {"reason": REASON})
    assert refused.status == 409
    assert "workspace unmask" in refused.json["detail"]
    ended = await counter.admin.post("/api/v1/workspace/unmask", {"reason": REASON})
    assert ended.json["pseudonyms"] is False
    assert (await counter.admin.get(f"/api/v1/members/{member['id']}")).json["name"] == "Ada"


async def test_searching_by_what_is_hidden_finds_nobody_and_by_pseudonym_the_member(
    counter: Counter,
) -> None:
    """P11: a search that found people by their names would tell them."""
    names, who = await hidden(counter, "quiet"), canaries("canary1")
    await counter.group(name="open")
    await counter.member("open", **canaries("canary2"))

    async def found(**query: str) -> list[str]:
        answer = await counter.admin.get("/api/v1/members", **query)
        assert answer.status == 200, answer.body
        return [one["external_id"] for one in answer.json["data"]]

    for field in ("external_id", "email"):
        assert await found(**{field: who[field]}) == []
    for part in ("canary1", "Lovelace", "4711"):
        assert "canary1-4711" not in await found(q=part)
    assert await found(q="canary2") == ["canary2-4711"]
    assert await found(external_id="canary2-4711") == ["canary2-4711"]
    pseudonym = pseudonym_of(names["member"])
    assert await found(external_id=pseudonym) == [pseudonym]
    assert await found(q=pseudonym.split("-")[1], group="quiet") == [pseudonym]
    bulk = {"action": "pause", "filter": {"external_id": who["external_id"]}, "dry_run": True}
    assert (await counter.admin.post("/api/v1/members/bulk", bulk)).json["matched"] == 0


async def test_a_reason_opens_who_a_member_is_and_the_trail_keeps_it(counter: Counter) -> None:
    """P11, K16: of one person, over all groups that the asker sees, a row for each."""
    names, who = await hidden(counter, "quiet"), canaries("canary1")
    await counter.group(name="second", pseudonyms=True)
    await counter.admin.post("/api/v1/groups/second/members", who)
    await counter.group(name="third")
    await counter.admin.post("/api/v1/groups/third/members", who)
    owner = await counter.staff("owner", "quiet", "second")

    opened = await owner.post(f"/api/v1/members/{names['member']}/identity", {"reason": REASON})

    assert opened.status == 200
    assert opened.json == {
        "member": names["member"],
        "group": names["group"],
        "pseudonym": pseudonym_of(names["member"]),
        **who,
        "others": opened.json["others"],
    }
    (other,) = opened.json["others"]
    assert other["pseudonym"] == pseudonym_of(other["member"])
    assert other["pseudonym"] != opened.json["pseudonym"]
    rows = (await counter.admin.get("/api/v1/audit", action="member.identity")).json["data"]
    assert {one["object"] for one in rows} == {names["member"], other["member"]}
    assert all(one["after"] == {"reason": REASON} for one in rows)
    assert {one["actor"] for one in rows} != {"operator"}


async def test_the_other_way_round_needs_a_reason_too(counter: Counter) -> None:
    """P11: whose pseudonyms are these; the trail keeps that somebody asked, not for whom (P8)."""
    names, who = await hidden(counter, "quiet"), canaries("canary1")
    asked = {"external_id": who["external_id"], "reason": REASON}

    found = (await counter.admin.post("/api/v1/identities", asked)).json["data"]
    nobody = await counter.admin.post("/api/v1/identities", {**asked, "external_id": "9999"})

    assert [one["member"] for one in found] == [names["member"]]
    assert nobody.json["data"] == []
    trail = await counter.admin.get("/api/v1/audit")
    assert not tells(trail, who)
    asks = [one["after"] for one in trail.json["data"] if one["action"] == "member.find"]
    assert asks == [{"hits": 0}, {"hits": 1}]  # the reason stands, sealed, with whom it opened
    stranger = await counter.staff("owner", await _second(counter))
    assert (await stranger.post("/api/v1/identities", asked)).json["data"] == []


@pytest.mark.parametrize("role", ["viewer", "assistant"])
async def test_who_may_not_decide_does_not_open(counter: Counter, role: str) -> None:
    """K4, P11."""
    names = await hidden(counter, "quiet")
    client = await counter.staff(role, "quiet")

    for path, body in (
        (f"/members/{names['member']}/identity", {"reason": REASON}),
        ("/identities", {"external_id": "4711", "reason": REASON}),
        ("/groups/quiet/unmask", {"reason": REASON}),
    ):
        assert (await client.post(f"/api/v1{path}", body)).status == 403
    handed = await client.post("/api/v1/groups/quiet/keys", {"reissue": True, "reason": REASON})
    assert handed.status == 403


@pytest.mark.parametrize("reason", ["", "   ", "two\nlines", "x" * 201, None])
async def test_a_reason_has_to_be_one(counter: Counter, reason: str | None) -> None:
    """K16."""
    names = await hidden(counter, "quiet")
    body = {} if reason is None else {"reason": reason}

    for path in (f"/members/{names['member']}/identity", "/groups/quiet/unmask"):
        assert (await counter.admin.post(f"/api/v1{path}", body)).status == 422
    assert (await counter.admin.get("/api/v1/groups/quiet")).json["pseudonyms"] is True


async def test_only_a_reason_ends_it(counter: Counter) -> None:
    """P11, K16: neither a change of the group nor taking the field back does."""
    names, who = await hidden(counter, "quiet"), canaries("canary1")
    owner = await counter.staff("owner", "quiet")

    for value in (False, None):
        refused = await owner.patch("/api/v1/groups/quiet", {"pseudonyms": value})
        assert refused.status == 409
        assert "unmask" in refused.json["detail"]
    unmasked = await owner.post("/api/v1/groups/quiet/unmask", {"reason": REASON})

    assert unmasked.json["pseudonyms"] is False
    shown = (await owner.get(f"/api/v1/members/{names['member']}")).json
    assert {field: shown[field] for field in who} == who
    assert shown["pseudonymous"] is False
    (told,) = (await owner.get("/api/v1/audit", action="group.unmask")).json["data"]
    assert told["after"] == {"pseudonyms": False, "reason": REASON}
    on_again = await owner.patch("/api/v1/groups/quiet", {"pseudonyms": True})
    assert on_again.json["pseudonyms"] is True


async def test_a_roster_goes_in_and_the_answer_tells_how_many(counter: Counter) -> None:
    """P11: who holds the roster imports it, and does not learn whose pseudonym is whose."""
    await hidden(counter, "quiet")
    path = "/api/v1/groups/quiet/members"
    people = [canaries("canary1") | {"name": "Ada King"}, canaries("canary2")]

    answer = await counter.admin.post(path, people)
    raw = b"external_id,name,email\ncanary2-4711,Grace,bad address\ncanary3-4711,Alan,\n"
    csv = {"content-type": CSV_TYPE}
    taken = await counter.admin.send("POST", path, raw=raw, headers=csv)
    preview = await counter.admin.send("POST", f"{path}/preview", raw=raw, headers=csv)

    assert answer.json == {"data": [], "errors": [], "count": 2}
    assert taken.json["count"] == 1
    assert [error["line"] for error in taken.json["errors"]] == [2]
    assert (taken.json["data"], taken.json["missing"], taken.json["missing_count"]) == ([], [], 2)
    assert (preview.json["missing"], preview.json["missing_count"]) == ([], 2)
    told = [(row["action"], row["changes"], row["before"]) for row in preview.json["rows"]]
    assert told == [("known", [], {})]  # neither what of them differs nor in which state they are
    unmasked = await counter.admin.post("/api/v1/groups/quiet/unmask", {"reason": REASON})
    assert unmasked.status == 200
    names = {one["name"] for one in (await counter.admin.get(path)).json["data"]}
    assert names == {"Ada King", "Canary2 Lovelace", "Alan"}


async def test_a_preview_asks_without_telling_how_somebody_is_spelled(counter: Counter) -> None:
    """P11."""
    await counter.group(pseudonyms=True)
    await counter.admin.post("/api/v1/groups/swa/members", {"external_id": "0004711"})

    asked = await counter.admin.send(
        "POST",
        "/api/v1/groups/swa/members/preview",
        raw=b"external_id\n4711\n",
        headers={"content-type": CSV_TYPE},
    )

    assert "another spelling is known" in asked.json["questions"][0]
    assert "0004711" not in asked.body.decode()


async def test_names_and_keys_do_not_come_in_one_answer_unasked(counter: Counter) -> None:
    """P11: keys with names are handed out for a reason, or by mail."""
    names, who = await hidden(counter, "quiet"), canaries("canary1")
    path = "/api/v1/groups/quiet"

    refused = await counter.admin.post(f"{path}/members", [who], issue_keys="true")
    plain = (await counter.admin.post(f"{path}/keys", {"reissue": True})).json["data"]
    named = await counter.admin.post(f"{path}/keys", {"reissue": True, "reason": REASON})
    links = await counter.admin.post(f"{path}/claim-links", {"reason": REASON}, all="true")

    assert refused.status == 409
    assert [one["external_id"] for one in plain] == [pseudonym_of(names["member"])]
    assert plain[0]["name"] is None
    for answer in (named, links):
        (one,) = answer.json["data"]
        assert {field: one[field] for field in who} == who
    rows = (await counter.admin.get("/api/v1/audit", action="member.identity")).json["data"]
    assert len(rows) == 2
    assert {one["after"]["reason"] for one in rows} == {REASON}


async def test_what_a_list_shows_cannot_come_back_as_a_roster(counter: Counter) -> None:
    """P11: a pseudonym sent for an external id would make another person, also after the mode has ended."""
    names = await hidden(counter, "quiet")
    pseudonym = pseudonym_of(names["member"])

    for _ in range(2):
        answer = await counter.admin.post(
            "/api/v1/groups/quiet/members", [{"external_id": pseudonym}]
        )
        assert answer.status == 409
        assert "pseudonym" in answer.json["detail"]
        await counter.admin.post("/api/v1/groups/quiet/unmask", {"reason": REASON})


async def test_who_somebody_is_is_not_guessed_by_changing_them(counter: Counter) -> None:
    """P11: a change that is taken or not, and an ETag that moves or not, would answer a guess."""
    names, who = await hidden(counter, "quiet"), canaries("canary1")
    path = f"/api/v1/members/{names['member']}"
    before = await counter.admin.get(path)

    for field, value in who.items():
        assert (await counter.admin.patch(path, {field: value})).status == 409
    await counter.admin.post("/api/v1/groups/quiet/members", [who | {"name": "Ada King"}])
    after = await counter.admin.get(path)

    assert after.headers["etag"] == before.headers["etag"]
    capped = await counter.admin.send(
        "PATCH",
        path,
        body={"limits": ["$2/month"]},
        headers={"if-match": before.headers["etag"]},
    )
    assert capped.status == 200, capped.body


async def test_a_page_that_a_link_opens_greets_by_pseudonym_as_staff_hold_links_too(
    counter: Counter,
) -> None:
    """K21, P11: who makes a link for a member and opens it themselves does not learn who it is."""
    names, who = await hidden(counter, "quiet"), canaries("canary1")
    link = (await counter.admin.post(f"/api/v1/members/{names['member']}/claim-links")).json["url"]

    claimed = await counter.admin.send(
        "POST",
        "/api/v1/claim",
        body={"secret": link.partition("#")[2]},
        headers={"sec-fetch-site": "same-origin"},
        token="",
    )
    found = await counter.admin.post("/api/v1/keys/find", {"text": names["secret"]})

    assert claimed.json["name"] == pseudonym_of(names["member"])
    assert not tells(claimed, who)
    owner = found.json["data"][0]["owner"]
    assert owner["external_id"] == pseudonym_of(names["member"])
    assert (owner["name"], owner["email"]) == (None, None)


async def test_the_page_of_an_appeal_greets_by_pseudonym_until_the_mode_has_ended(
    counter: Counter,
) -> None:
    """P11: links for appeals are made by staff, who can open them."""
    names, who = await hidden(counter, "quiet"), canaries("canary1")

    async def look() -> Answer:
        made = await counter.admin.post(f"/api/v1/members/{names['member']}/appeal-links")
        return await counter.admin.send(
            "POST",
            "/api/v1/appeal/flags",
            body={"secret": made.json["url"].partition("#")[2]},
            headers={"sec-fetch-site": "same-origin"},
            token="",
        )

    hiding = await look()
    await counter.admin.post("/api/v1/groups/quiet/unmask", {"reason": REASON})
    open_again = await look()

    assert hiding.json["name"] == pseudonym_of(names["member"])
    assert not tells(hiding, who)
    assert open_again.json["name"] == who["name"]


async def test_what_the_provider_calls_them_leads_to_a_pseudonym(counter: Counter) -> None:
    """P3, P11: to find the account of a warning is not yet to open who it is."""
    names, who = await hidden(counter, "quiet"), canaries("canary1")
    asked = {"pseudonym": told_upstream(names["member"]), "reason": REASON}

    found = await counter.admin.post("/api/v1/who", asked)

    assert found.status == 200, found.body
    assert found.json["member"] == names["member"]
    assert found.json["external_id"] == pseudonym_of(names["member"])
    assert not tells(found, who)


async def test_a_mail_is_listed_by_pseudonym_with_the_code_of_what_was_said(
    counter: Counter,
) -> None:
    """P11: a mail server repeats the address that it refuses."""
    names = await hidden(counter, "quiet")

    (mail,) = (await counter.admin.get("/api/v1/mail")).json["data"]

    assert (mail["to"], mail["told"]) == (pseudonym_of(names["member"]), "550")


async def _open_member(counter: Counter) -> dict[str, Any]:
    await counter.group()
    return await counter.member(name="Ada", email="ada@example.org")


async def _second(counter: Counter) -> str:
    return str((await counter.group(name="elsewhere"))["name"])
