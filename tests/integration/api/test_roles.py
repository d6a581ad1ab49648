"""Every route of the admin API by every role, over objects of the caller's own group and of another (K4, K5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.integration.api.test_log_and_usage import bucket, put, row
from tests.support.asgi_client import Answer, AsgiClient
from tests.support.keeping_kit import CHAT
from tuckshop.api.app import all_routes
from tuckshop.api.routing import CSV_TYPE, JSON_TYPE, Route
from tuckshop.domain.actor import STAFF_ROLES
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.keys import digest_of
from tuckshop.storage.schema import flags, mails, requests, usage_buckets

pytestmark = pytest.mark.anyio

ROUTES = [route for route in all_routes(lambda: None) if route.role in STAFF_ROLES]
TOKEN_ROLES = ("viewer", "assistant", "owner")


@dataclass(frozen=True, kw_only=True)
class Course:
    """A group with something of each kind in it."""

    names: Mapping[str, str]  # of its objects, by what a path calls them

    @property
    def marks(self) -> set[str]:
        """What no answer to staff of another group may hold."""
        return set(self.names.values())


def flag_row(number: int, reason: str, **whose: str) -> dict[str, Any]:
    flag = {"id": f"flg_{number}", "at": 1, "last_at": 1, "request_id": f"req_{number}"}
    flag |= {
        "workspace_id": DEFAULT_WORKSPACE,
        "source": "rule",
        "action": "blocked",
        "state": "open",
    }
    rest = {"reasons": f'["{reason}"]', "scores": "{}", "content": b"c", "is_own": True}
    return {**flag, **rest, **whose}


async def course(counter: Counter, name: str, number: int) -> Course:
    kept = {"bodies": "all", "purpose": "a test", "readers": ["viewer"]}
    group = await counter.group(name=name, each=["$1/month"], shared=["$50/month"], logging=kept)
    member = await counter.member(
        name, external_id=f"{name}-person", name=f"{name} Lovelace", email=f"{name}@example.org"
    )
    key = await counter.key(member["id"], name=f"{name}-laptop", tags=[f"{name}-tag"])
    token = await counter.token("viewer", name, name=f"{name}-viewer")
    url = "https://localhost:1/hook"  # which is not dialled: it is not public
    webhook = await counter.admin.post("/api/v1/webhooks", {"url": url, "groups": [name]})
    whose = {"group_id": group["id"], "member_id": member["id"], "key_id": key["id"]}
    marks = {"model": f"{name}-model", "tag": f"{name}-tag", "upstream_request_id": f"{name}-up"}
    await put(counter, requests, [row(number, **whose, **marks)])
    await put(counter, usage_buckets, [bucket(1, **whose, model=f"{name}-model", cost=number)])
    mail = {"id": f"mai_{number}", "recipient": f"{name}@example.org", "state": "failed"}
    mail |= {"kind": "invite", "template": "en", "workspace_id": DEFAULT_WORKSPACE}
    to = {"group_id": group["id"], "member_id": member["id"], "queued_at": 1, "due_at": 1}
    await put(counter, mails, [{**mail, **to, "attempts": 1}])
    await put(counter, flags, [flag_row(number, f"{name}-words", **whose)])
    holder = counter.services.directory.find(digest_of(key["key"]), counter.clock.now_us())
    assert holder is not None
    tap = counter.keeper.begin(f"req_{number}", holder, CHAT, f'"{name}-prompt"'.encode())
    assert tap is not None
    tap.end(200, is_stream=False)
    hold = {"member": member["id"], "reason": "a lawsuit"}
    held = await counter.admin.post("/api/v1/holds", hold)
    return Course(
        names={
            "hold": held.json["id"],
            "group": group["id"],
            "member": member["id"],
            "key": key["id"],
            "token": token["id"],
            "webhook": webhook.json["id"],
            "request": f"req_{number}",
            "mail": f"mai_{number}",
            "flag": f"flg_{number}",
            "name": f"{name}-",
        }
    )


# The least bodies that calls take which do not take an empty one: without, no call gets as far as looking up.
BODIES: dict[str, Any] = {
    "/api/v1/groups/{group}/members": {"external_id": "4712"},
    "/api/v1/groups/{group}/grants": {"amount_usd": 1},
    "/api/v1/members/{member}/grants": {"amount_usd": 1},
    "/api/v1/members/{member}/identity": {"reason": "asked for more budget"},
    "/api/v1/groups/{group}/unmask": {"reason": "marks are given"},
    "/api/v1/groups/{group}/mail": {"kind": "invite"},
    "/api/v1/groups/{group}/mail/preview": {"kind": "invite"},
    "/api/v1/requests/{request}/body": {"reason": "a look"},
    "/api/v1/holds/{hold}/release": {"reason": "it is over"},
    "/api/v1/moderation/flags/{flag}/appeal": {"reason": "a quotation"},
    "/api/v1/export/members/{member}/bodies": {"reason": "asked for"},
    "/api/v1/erase/members/{member}": {"reason": "asked for", "dry_run": True},
    "/api/v1/erase/groups/{group}": {"reason": "it is over", "dry_run": True},
    "/api/v1/moderation/flags/{flag}/resolve": {"state": "upheld", "reason": "seen"},
}
# Calls that here are refused before they look up whose it is, whatever is named.
BEFORE_LOOKING = {"/api/v1/mail/{mail}/retry": 409}  # no mail server is set


async def call(client: AsgiClient, route: Route, names: Mapping[str, str]) -> Answer:
    path = re.sub(r"\{([a-z]+)\}", lambda found: names.get(found[1], "nosuch"), route.path)
    if route.method == "GET":
        return await client.get(path)
    if JSON_TYPE in route.media_types:
        return await client.send(route.method, path, body=BODIES.get(route.path, {}))
    headers = {"content-type": CSV_TYPE}
    return await client.send(route.method, path, raw=b"external_id\n4712\n", headers=headers)


def least_of(route: Route) -> int:
    assert route.role in STAFF_ROLES
    return STAFF_ROLES.index(route.role)


async def test_too_little_a_role_is_told_and_what_is_beyond_the_group_is_not_there(
    counter: Counter,
) -> None:
    """K4, K5: every route by every role."""
    own, other = await course(counter, "own", 1), await course(counter, "alien", 2)
    staff = {role: await counter.staff(role, "own") for role in TOKEN_ROLES}
    nowhere = dict.fromkeys(own.names, "nosuch")

    for route in ROUTES:
        for role in TOKEN_ROLES:
            what = (route.method, route.path, role)
            if STAFF_ROLES.index(role) < least_of(route):
                for names in (own.names, other.names, nowhere):
                    answer = await call(staff[role], route, names)
                    assert answer.status == 403, (*what, answer.body)
                    assert f"needs the role {route.role}" in answer.json["detail"], what
                    assert f"has the role {role}" in answer.json["detail"], what
            elif route.scope == "group":
                foreign = await call(staff[role], route, other.names)
                unknown = await call(staff[role], route, nowhere)
                expected = BEFORE_LOOKING.get(route.path, 404)
                assert foreign.status == expected, (*what, foreign.body, "one of BODIES?")
                assert generalised(foreign, other.names) == generalised(unknown, nowhere), what


@pytest.mark.parametrize("role", TOKEN_ROLES)
async def test_within_their_group_every_role_gets_what_the_table_says(
    counter: Counter, role: str
) -> None:
    """K4, K5: and none of it holds anything of the other group."""
    own, other = await course(counter, "own", 1), await course(counter, "alien", 2)
    client = await counter.staff(role, "own")

    for number, route in enumerate(ROUTES, 3):
        if STAFF_ROLES.index(role) < least_of(route):
            continue
        if route.method != "GET" and route.scope == "group" and role == route.role:
            # What it does may close the door for the next one.
            fresh = await course(counter, f"own-{number}", number)
            answer = await call(await counter.staff(role, f"own-{number}"), route, fresh.names)
        elif route.method == "GET" or route.scope != "group":
            answer = await call(client, route, own.names)
        else:
            continue
        what = (route.method, route.path, answer.body)
        assert answer.status not in (401, 404, 405), what
        assert "needs the role" not in str(answer.body), what
        assert not [mark for mark in other.marks if mark in answer.body.decode()], what


async def test_the_operator_may_make_every_call_of_staff(counter: Counter) -> None:
    """K4."""
    nowhere = dict.fromkeys(("group", "member", "key", "token", "request"), "nosuch")

    for route in ROUTES:
        answer = await call(counter.admin, route, nowhere)
        assert answer.status not in (401, 403), (route.path, answer.body)


def generalised(answer: Answer, names: Mapping[str, str]) -> str:
    text = answer.body.decode()
    for name in sorted(names.values(), key=len, reverse=True):
        text = text.replace(name, "…")
    return text


LISTS = [route for route in ROUTES if route.scope == "rows" and route.method == "GET"]


async def test_no_filter_of_a_list_reaches_another_group(counter: Counter) -> None:
    """K5: each filter with each name of the other group finds nothing, in the words of what there is not."""
    own, other = await course(counter, "own", 1), await course(counter, "alien", 2)
    staff = {role: await counter.staff(role, "own") for role in TOKEN_ROLES}
    names = [*other.names.values(), "alien", "alien-person", "alien@example.org", "alien-model"]

    for route in LISTS:
        client = staff[str(route.role)]
        for field in route.query.__struct_fields__:
            nothing = await client.get(route.path, **{field: "nosuch"})
            for name in names:
                found = await client.get(route.path, **{field: name})
                assert found.status == nothing.status, (route.path, field, name, found.body)
                assert found.body.decode().replace(name, "nosuch") == nothing.body.decode()
        text = ""
        for media_type in (JSON_TYPE, *route.table_types):
            everything = await client.send("GET", route.path, headers={"accept": media_type})
            assert everything.status == 200
            text = everything.body.decode()
            assert not [mark for mark in other.marks if mark in text], (route.path, text)
        if route.path != "/api/v1/usage":  # which has sums alone unless asked
            assert any(mark in text for mark in own.marks), (route.path, text)


async def test_sums_are_of_the_tokens_groups_alone(counter: Counter) -> None:
    """K5: what others used is in no sum, and a limit of all groups together tells no amounts."""
    await course(counter, "own", 1)
    await course(counter, "alien", 2)
    viewer = await counter.staff("viewer", "own")

    for by in ("", "group", "member", "model", "tag", "hour", "day"):
        data = (await viewer.get("/api/v1/usage", by=by)).json["data"]
        assert [one["requests"] for one in data] == [1]
    assert (await counter.admin.get("/api/v1/usage")).json["data"][0]["requests"] == 2


async def test_the_trail_is_of_the_tokens_groups_alone(counter: Counter) -> None:
    """K5, K16."""
    own, other = await course(counter, "own", 1), await course(counter, "alien", 2)
    for one in (own, other):
        link = await counter.admin.post(f"/api/v1/members/{one.names['member']}/claim-links")
        assert link.status == 201, link.body
    viewer = await counter.staff("viewer", "own")

    rows = (await viewer.get("/api/v1/audit")).json["data"]

    made = (await counter.admin.get("/api/v1/audit", action="claim")).json["data"]
    theirs = [row for row in rows if row["action"] == "claim.create"]
    assert [row["after"]["member"] for row in theirs] == [own.names["member"]]
    assert len(made) == 2
    about = {row["object"] for row in rows}
    assert about >= {own.names[kind] for kind in ("group", "member", "key", "token")}
    assert not about & other.marks


async def test_a_name_of_another_group_is_not_told_by_trying_it(counter: Counter) -> None:
    """K5: whether a name is free tells of other groups, so names of groups are the operator's."""
    await counter.group(name="own")
    await counter.group(name="alien")
    owner = await counter.staff("owner", "own")

    taken = await owner.patch("/api/v1/groups/own", {"name": "alien"})
    free = await owner.patch("/api/v1/groups/own", {"name": "nosuch"})

    assert (taken.status, free.status) == (403, 403)
    assert taken.body == free.body
    assert (await owner.patch("/api/v1/groups/own", {"name": "own"})).status == 200


ABOVE = "$50/month"


GIVING: list[tuple[str, list[str], str, Any, int]] = [
    ("owner", [], "groups/{group}", {"each": ["$2/month"]}, 403),
    ("owner", [], "groups/{group}", {"each": ["$0.50/month"]}, 200),
    ("owner", [], "groups/{group}", {"each": None}, 403),
    ("owner", [], "groups/{group}", {"shared": ["$500/month"]}, 403),
    ("owner", [ABOVE], "groups/{group}", {"each": ["$2/month"]}, 200),
    ("owner", [ABOVE], "groups/{group}", {"shared": ["$49/month"]}, 200),
    ("owner", [ABOVE], "groups/{group}", {"shared": ["$51/month"]}, 403),
    ("owner", [ABOVE], "groups/{group}", {"shared": []}, 403),
    ("owner", [ABOVE], "groups/{group}", {"shared": None, "each": ["$9/month"]}, 403),
    ("owner", [], "groups/{group}", {"models": ["gpt-4o-mini"]}, 200),
    ("owner", [], "groups/{group}", {"models": ["*"]}, 403),
    ("owner", [], "groups/{group}", {"models": None}, 403),
    ("owner", [], "groups/{group}", {"endpoints": ["batches"]}, 403),
    ("owner", [], "groups/{group}", {"max_output_tokens": 2001}, 403),
    ("owner", [], "groups/{group}", {"state": "archived"}, 403),
    ("owner", [], "members/{member}", {"limits": ["$2/month"]}, 403),
    ("owner", [ABOVE], "members/{member}", {"limits": ["$2/month"]}, 200),
    ("assistant", [ABOVE], "members/{member}", {"limits": ["$0.10/month"]}, 403),
    ("assistant", [ABOVE], "members/{member}", {"models": []}, 403),
    ("assistant", [ABOVE], "members/{member}", {"name": "Ada", "limits": []}, 200),
    ("assistant", [ABOVE], "keys/{key}", {"limits": ["$0.10/month"]}, 200),
    ("owner", [], "members/{member}/reset", None, 403),
    ("owner", [ABOVE], "members/{member}/reset", None, 200),
    ("owner", [ABOVE], "groups/{group}/reset", {"what": "each"}, 200),
    ("owner", [], "groups/{group}/reset", {"what": "each"}, 403),
    ("owner", [ABOVE], "groups/{group}/reset", {"what": "shared"}, 403),
    ("owner", [ABOVE], "groups/{group}/reset", {}, 403),
    ("owner", [], "members/{member}/grants", {"amount_usd": 1}, 403),
    ("owner", [ABOVE], "members/{member}/grants", {"amount_usd": 1}, 201),
    ("owner", [], "groups/{group}/grants", {"amount_usd": 1}, 403),
    ("owner", [ABOVE], "groups/{group}/grants", {"amount_usd": 1}, 201),
    ("owner", [], "groups/{group}", {"carry_over": "$1"}, 403),
    ("owner", [ABOVE], "groups/{group}", {"carry_over": "$1"}, 200),
    ("owner", [], "members/bulk", {"action": "reset"}, 403),
    ("owner", [ABOVE], "members/bulk", {"action": "reset"}, 200),
    ("assistant", [ABOVE], "keys/bulk", {"action": "reset"}, 403),
    ("assistant", [ABOVE], "keys/bulk", {"action": "pause"}, 200),
]


async def test_nobody_gives_more_than_they_hold(counter: Counter) -> None:
    """K6: and what is refused changes nothing, and says what is held and who can do it."""
    for number, (role, shared, path, body, status) in enumerate(GIVING):
        name = f"group-{number}"
        await counter.group(
            name=name, each=["$1/month"], shared=shared, models=["gpt-4o*"], max_output_tokens=2000
        )
        member = await counter.member(name)
        key = await counter.key(member["id"])
        staff = await counter.staff(role, name)
        path = f"/api/v1/{path.format(group=name, member=member['id'], key=key['id'])}"
        before = await counter.admin.get(f"/api/v1/groups/{name}")

        method = "POST" if path.endswith(("reset", "bulk", "grants")) else "PATCH"
        if path.endswith("bulk"):
            body = {**body, "filter": {"group": name}}
        answer = await staff.send(method, path, body=body)

        assert answer.status == status, (role, shared, path, body, answer.body)
        if status == 403:
            assert "can do it" in answer.json["detail"]
            assert (await counter.admin.get(f"/api/v1/groups/{name}")).json == before.json
        operator = await counter.admin.send(method, path, body=body)
        assert operator.status == (201 if path.endswith("grants") else 200)


@pytest.mark.parametrize("role", ["assistant", "owner"])
async def test_a_list_that_gives_too_much_goes_in_not_at_all(counter: Counter, role: str) -> None:
    """K6: however many transactions it would take."""
    await counter.group(each=["$1/month"])
    staff = await counter.staff(role)
    people: list[dict[str, Any]] = [{"external_id": f"{number}"} for number in range(120)]

    refused = await staff.post(
        "/api/v1/groups/swa/members", [*people, {"external_id": "x", "limits": ["$9/month"]}]
    )
    csv = b"external_id,limits\n1,\n2,$9/month\n"
    by_file = await staff.send(
        "POST", "/api/v1/groups/swa/members", raw=csv, headers={"content-type": CSV_TYPE}
    )

    assert (refused.status, by_file.status) == (403, 403)
    assert (await staff.get("/api/v1/members")).json["data"] == []
    assert (await staff.post("/api/v1/groups/swa/members", people)).status == 201


async def test_no_staff_but_the_operator_names_an_address(counter: Counter) -> None:
    """K20: upstreams, with the addresses that credentials go to, are closed to every token of staff."""
    await counter.group()
    await counter.admin.post("/api/v1/upstreams", {"name": "second", "credential": "sk-1"})
    body = {"name": "third", "base_url": "http://127.0.0.1:9/v1", "credential": "sk-2"}

    for role in TOKEN_ROLES:
        staff = await counter.staff(role)
        for method in ("GET", "POST", "PATCH", "DELETE"):
            for path in ("upstreams", "upstreams/second", "upstreams/second/test"):
                answer = await staff.send(method, f"/api/v1/{path}", body=body)
                assert answer.status in (403, 405), answer.body

    (only,) = (await counter.admin.get("/api/v1/upstreams")).json["data"]
    assert only["name"] == "second"
