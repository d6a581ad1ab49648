"""Members by the admin API."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.integration.api.conftest import Counter
from tuckshop.domain.keys import digest_of
from tuckshop.storage.schema import audit

pytestmark = pytest.mark.anyio


def opens(counter: Counter, secret: str) -> bool:
    """Whether the directory finds a holder by this secret."""
    return counter.services.directory.find(digest_of(secret), counter.clock.now_us()) is not None


async def test_a_member_is_added_and_read_with_every_limit_in_force(counter: Counter) -> None:
    group = await counter.group(each=["$0.20/month"], shared=["$50/month"])

    answer = await counter.admin.post(
        "/api/v1/groups/swa/members",
        {"external_id": "4711", "name": "Ada", "email": "ada@uni.example"},
    )

    assert answer.status == 201
    assert answer.json["errors"] == []
    (member,) = answer.json["data"]
    in_force = member.pop("in_force")
    assert member == {
        "id": member["id"],
        "group": group["id"],
        "external_id": "4711",
        "name": "Ada",
        "email": "ada@uni.example",
        "limits": [],
        "models": None,
        "endpoints": None,
        "max_output_tokens": None,
        "state": "active",
        "pseudonymous": False,
    }
    assert [(limit["limit"], limit["scope"]) for limit in in_force] == [
        ("$0.20/month", "member"),
        ("$50/month", "group"),
    ]
    read = (await counter.admin.get(f"/api/v1/members/{member['id']}")).json
    assert read == {**member, "in_force": in_force}


async def test_a_members_own_limit_replaces_the_groups_each_of_its_kind(counter: Counter) -> None:
    await counter.group(each=["$0.20/month", "$0.05/day"])
    member = await counter.member()

    changed = await counter.admin.patch(f"/api/v1/members/{member['id']}", {"limits": ["$2/month"]})
    back = await counter.admin.patch(f"/api/v1/members/{member['id']}", {"limits": None})

    assert [limit["limit"] for limit in changed.json["in_force"]] == ["$2/month", "$0.05/day"]
    assert [limit["limit"] for limit in back.json["in_force"]] == ["$0.20/month", "$0.05/day"]


async def test_rows_that_fail_are_told_and_the_others_go_in(counter: Counter) -> None:
    await counter.group()

    answer = await counter.admin.post(
        "/api/v1/groups/swa/members",
        [
            {"external_id": "1"},
            {"external_id": ""},
            {"external_id": 3},
            {"name": "nobody"},
            {"external_id": "5", "email": "not an address"},
            {"external_id": "6", "colour": "red"},
            {"external_id": "7", "limits": ["5 bananas"]},
            {"external_id": "8"},
        ],
    )

    assert answer.status == 201
    assert [member["external_id"] for member in answer.json["data"]] == ["1", "8"]
    assert [(error["line"], error["field"]) for error in answer.json["errors"]] == [
        (2, "external_id"),
        (3, "external_id"),
        (4, "external_id"),
        (5, "email"),
        (6, "colour"),
        (7, "limits[0]"),
    ]


@pytest.mark.parametrize("row", [{"external_id": ""}, {"name": "x"}, {"external_id": "1", "a": 1}])
async def test_a_single_member_that_fails_is_a_problem(
    counter: Counter, row: dict[str, object]
) -> None:
    await counter.group()

    answer = await counter.admin.post("/api/v1/groups/swa/members", row)

    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_same_external_id_twice_updates_whatever_its_spelling(counter: Counter) -> None:
    await counter.group()
    first = await counter.member(external_id="Ada@Uni.Example", name="Ada", email="a@b.c")

    again = await counter.member(external_id=" ada@uni.example ", name="Ada L.")

    assert again["id"] == first["id"]
    assert (again["external_id"], again["name"], again["email"]) == (
        "ada@uni.example",
        "Ada L.",
        "a@b.c",
    )


async def test_a_list_may_name_one_member_twice(counter: Counter) -> None:
    await counter.group()

    answer = await counter.admin.post(
        "/api/v1/groups/swa/members",
        [{"external_id": "1", "name": "A"}, {"external_id": "1", "name": "B"}],
    )

    assert [member["name"] for member in answer.json["data"]] == ["B"]


async def test_an_archived_member_comes_back_and_a_paused_one_stays_paused(
    counter: Counter,
) -> None:
    await counter.group()
    gone = await counter.member(external_id="1")
    paused = await counter.member(external_id="2")
    await counter.admin.delete(f"/api/v1/members/{gone['id']}")
    await counter.admin.post(f"/api/v1/members/{paused['id']}/pause")

    answer = await counter.admin.post(
        "/api/v1/groups/swa/members", [{"external_id": "1"}, {"external_id": "2"}]
    )

    assert [(member["id"], member["state"]) for member in answer.json["data"]] == [
        (gone["id"], "active"),
        (paused["id"], "paused"),
    ]


async def test_reissue_gives_a_new_secret_and_no_fresh_budget(counter: Counter) -> None:
    """M14: the key stays the key; its old secret dies at once, or after the overlap. Another key goes on."""
    await counter.group(each=["$1/month"])
    rows = [{"external_id": "4711"}, {"external_id": "4712"}]
    path = "/api/v1/groups/swa/members"
    first = (await counter.admin.post(path, rows[:1], issue_keys="true")).json["data"][0]
    [known] = (await counter.admin.get("/api/v1/keys")).json["data"]
    counter.clock.advance(1)
    laptop = await counter.key(first["id"], name="laptop")

    answer = await counter.admin.post(path, rows, issue_keys="true", reissue="true")

    ada, charles = answer.json["data"]
    assert ada["key"] != first["key"]
    assert charles["key"]
    assert not opens(counter, first["key"])
    assert opens(counter, ada["key"])
    assert opens(counter, laptop["key"])
    one = (await counter.admin.get(f"/api/v1/keys/{known['id']}")).json
    assert one["last4"] == ada["key"][-4:]

    later = await counter.admin.post(
        path, rows[:1], issue_keys="true", reissue="true", overlap="24h"
    )
    assert opens(counter, ada["key"])
    assert opens(counter, later.json["data"][0]["key"])
    counter.clock.advance(86_400)
    assert not opens(counter, ada["key"])


async def test_reissue_and_overlap_are_said_with_what_they_go_with(counter: Counter) -> None:
    await counter.group()
    path = "/api/v1/groups/swa/members"

    for query in (
        {"reissue": "true"},
        {"issue_keys": "true", "overlap": "1h"},
        {"issue_keys": "true", "reissue": "true", "overlap": "soon"},
    ):
        answer = await counter.admin.send("POST", path, body={"external_id": "1"}, query=query)
        assert answer.status == 422, answer.body
    assert (await counter.admin.get(path)).json["data"] == []


async def test_issue_keys_gives_each_member_without_an_active_key_one(counter: Counter) -> None:
    await counter.group()
    await counter.member(external_id="1")
    rows = [{"external_id": "1"}, {"external_id": "2"}]

    first = await counter.admin.post("/api/v1/groups/swa/members", rows, issue_keys="true")
    second = await counter.admin.post("/api/v1/groups/swa/members", rows, issue_keys="true")

    keys = [member["key"] for member in first.json["data"]]
    assert all(key.startswith("sk-tuck-") and len(key) == 48 for key in keys)
    assert len(set(keys)) == 2
    assert all("key" not in member for member in second.json["data"])


async def test_a_large_roster_goes_in_by_batches(counter: Counter) -> None:
    await counter.group()
    rows = [{"external_id": str(number)} for number in range(450)]

    answer = await counter.admin.post("/api/v1/groups/swa/members", rows)

    assert len(answer.json["data"]) == 450
    found = []
    query: dict[str, object] = {"limit": 200}
    while True:
        page = (await counter.admin.get("/api/v1/groups/swa/members", **query)).json
        found += [member["external_id"] for member in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sorted(found, key=int) == [str(number) for number in range(450)]


async def test_members_are_found_literally(counter: Counter) -> None:
    await counter.group()
    await counter.group(name="other")
    await counter.member(external_id="a_1", name="100% Ada")
    await counter.member(external_id="ab1", name="Bob", email="Bob@Uni.example")
    await counter.member("other", external_id="a_1")

    async def found(path: str = "/api/v1/members", **query: object) -> list[str]:
        answer = await counter.admin.get(path, **query)
        assert answer.status == 200, answer.body
        return [member["external_id"] for member in answer.json["data"]]

    assert await found(q="a_1") == ["a_1", "a_1"]
    assert await found(q="0%") == ["a_1"]
    assert await found(q="'; DROP TABLE members; --") == []
    assert await found(q="bob") == ["ab1"]
    assert await found(email="bob@uni.EXAMPLE") == ["ab1"]
    assert await found(external_id=" ab1") == ["ab1"]
    assert await found(group="other") == ["a_1"]
    assert await found("/api/v1/groups/swa/members", q="b") == ["ab1"]
    assert (await counter.admin.get("/api/v1/members", group="nosuch")).status == 404


async def test_an_external_id_moves_if_it_is_free(counter: Counter) -> None:
    await counter.group()
    member = await counter.member(external_id="1")
    await counter.member(external_id="2")

    moved = await counter.admin.patch(f"/api/v1/members/{member['id']}", {"external_id": "3"})
    taken = await counter.admin.patch(f"/api/v1/members/{member['id']}", {"external_id": "2"})

    assert (moved.json["id"], moved.json["external_id"]) == (member["id"], "3")
    assert taken.status == 409


async def test_a_body_that_is_neither_json_nor_csv_is_refused(counter: Counter) -> None:
    await counter.group()

    answer = await counter.admin.send(
        "POST",
        "/api/v1/groups/swa/members",
        raw=b"external_id: 1",
        headers={"content-type": "text/yaml"},
    )

    assert answer.status == 415
    assert "application/json or text/csv" in answer.json["detail"]


async def test_names_and_addresses_never_reach_the_audit_trail(counter: Counter) -> None:
    """P8: ids and policy only."""
    await counter.group()
    member = await counter.member(external_id="canary-id", name="Canary", email="canary@b.example")
    await counter.admin.patch(
        f"/api/v1/members/{member['id']}", {"name": "Canary Two", "limits": ["$1/day"]}
    )
    await counter.key(member["id"], name="canary key", tags=["canary"])

    with counter.database.reader() as connection:
        rows = [tuple(row) for row in connection.execute(select(audit))]

    assert [row[4] for row in rows[1:]] == [
        "group.create",
        "member.create",
        "member.change",
        "key.create",
    ]
    assert "canary" not in repr(rows).lower()
    assert "$1/day" in repr(rows)


async def test_members_cannot_be_added_to_an_archived_group(counter: Counter) -> None:
    await counter.group()
    await counter.admin.delete("/api/v1/groups/swa")

    answer = await counter.admin.post("/api/v1/groups/swa/members", {"external_id": "1"})

    assert answer.status == 409


async def test_a_nul_finds_nobody(counter: Counter) -> None:
    """SQLite's patterns end at one, and would find everybody (K5)."""
    await counter.group()
    await counter.member()

    assert (await counter.admin.get("/api/v1/members", q="\0")).json["data"] == []
