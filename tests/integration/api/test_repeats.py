"""`Idempotency-Key`: a creating call sent twice makes nothing twice, and secrets are never kept (M14, K1)."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from tests.integration.api.conftest import Counter
from tests.support.asgi_client import Answer
from tuckshop.api.routes import ROUTES
from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.keys import digest_of
from tuckshop.services.once import KEPT_US
from tuckshop.services.roster import put_in
from tuckshop.storage.schema import idempotency_keys, keys, members

pytestmark = pytest.mark.anyio
NAME = {"idempotency-key": "a name of the client's"}


async def send(
    counter: Counter, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
) -> Answer:
    path, _, query = path.partition("?")
    return await counter.admin.send(
        "POST", f"/api/v1{path}", query=query, body=body, raw=raw, headers=NAME | headers
    )


def secret_opens(counter: Counter, secret: str) -> bool:
    directory = counter.services.directory
    return directory.find(digest_of(secret), counter.clock.now_us()) is not None


def count(counter: Counter, table: Any) -> int:
    with counter.database.reader() as connection:
        return len(connection.execute(select(table)).all())


async def test_every_route_that_answers_created_can_be_repeated(counter: Counter) -> None:
    made = {route.path for route in ROUTES if route.status == 201}

    # A new link voids the one before: sent again, no second one is left behind.
    assert made - {route.path for route in ROUTES if route.makes} <= {
        "/api/v1/groups/{group}/claim-links",
        "/api/v1/members/{member}/claim-links",
        "/api/v1/members/{member}/appeal-links",
    }


async def test_a_grant_sent_again_gives_no_more_money(counter: Counter) -> None:
    """M14: the money is given once, whatever broke; and the answer is told again when it is past."""
    group, member, _ = await counter.chain(each=["$0.20/month"])
    given = {"amount_usd": 0.5, "until": "2099-12-31", "reason": "project week"}
    to_one, to_all = f"/members/{member['id']}/grants", f"/groups/{group['id']}/grants"

    async def grant(path: str, body: Any) -> Answer:
        name = {"idempotency-key": f"project week, {path}"}
        return await counter.admin.send("POST", f"/api/v1{path}", body=body, headers=name)

    for path in (to_one, to_all):
        first, again = await grant(path, given), await grant(path, given)

        assert (first.status, again.status) == (201, 201)
        assert again.json == first.json
    (month,) = (await counter.admin.get(f"/api/v1/members/{member['id']}")).json["in_force"]
    assert month["remaining"] == Decimal("1.2")  # 0.20, and each of the two once
    assert (await grant(to_all, given | {"amount_usd": 1})).status == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [("/groups", {"name": "other"}), ("/upstreams", {"name": "second"})],
)
async def test_a_repeat_gives_the_same_object_and_status(
    counter: Counter, path: str, body: dict[str, Any]
) -> None:
    first = await send(counter, path, body)
    again = await send(counter, path, body)

    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    listed = (await counter.admin.get(f"/api/v1{path}")).json["data"]
    assert [one["name"] for one in listed] == [body["name"]]


async def test_a_repeat_rotates_a_key_that_nobody_used(counter: Counter) -> None:
    """M14: the same key, so no fresh budget; the secret that got lost on its way opens nothing."""
    await counter.group()
    member = await counter.member()
    path = f"/members/{member['id']}/keys"

    first = (await send(counter, path, {"name": "laptop"})).json
    second = await send(counter, path, {"name": "laptop"})
    third = (await send(counter, path, {"name": "laptop"})).json

    assert second.status == 201
    assert first["id"] == second.json["id"] == third["id"]
    assert len({first["key"], second.json["key"], third["key"]}) == 3
    assert [secret_opens(counter, one["key"]) for one in (first, second.json, third)] == [
        False,
        False,
        True,
    ]
    assert count(counter, keys) == 1


async def test_a_repeat_shows_no_secret_once_somebody_may_have_another(counter: Counter) -> None:
    await counter.group()
    member = await counter.member()
    path = f"/members/{member['id']}/keys"
    first = (await send(counter, path, {})).json
    rotated = (await counter.admin.post(f"/api/v1/keys/{first['id']}/rotate")).json

    again = await send(counter, path, {})

    assert (again.status, again.json["id"]) == (201, first["id"])
    assert "key" not in again.json
    assert "rotate it" in again.json["note"]
    assert secret_opens(counter, rotated["key"])


async def test_a_repeated_list_gives_the_same_members_and_fresh_keys(counter: Counter) -> None:
    await counter.group()
    path = "/groups/swa/members?issue_keys=true"
    rows = [{"external_id": f"p{number}"} for number in range(120)]  # three transactions

    first = (await send(counter, path, rows)).json
    moved = first["data"][7]["id"]
    await counter.admin.patch(f"/api/v1/members/{moved}", {"name": "Given meanwhile"})
    again = (await send(counter, path, rows)).json

    assert [one["id"] for one in again["data"]] == [one["id"] for one in first["data"]]
    assert again["data"][7]["name"] == "Given meanwhile"  # a repeat changes nobody
    assert all(secret_opens(counter, one["key"]) for one in again["data"])
    assert not any(secret_opens(counter, one["key"]) for one in first["data"])
    assert (count(counter, members), count(counter, keys)) == (120, 120)


async def test_a_repeated_file_goes_on_where_it_broke_off(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a fault left undone is done by the repeat, without asking whether the rest are new people (M14)."""
    await counter.group()
    file = ("external_id\n" + "".join(f"{number}\n" for number in range(1, 201))).encode()
    path = "/groups/swa/members?issue_keys=true"
    calls = iter([None])

    def fails_at_the_second(*args: Any, **more: Any) -> Any:
        if next(calls, "used up"):
            raise RuntimeError("the fault")
        return put_in(*args, **more)

    monkeypatch.setattr("tuckshop.services.members.put_in", fails_at_the_second)
    broken = await send(counter, path, raw=file, **{"content-type": "text/csv"})
    done = count(counter, members)
    monkeypatch.undo()
    again = await send(counter, path, raw=file, **{"content-type": "text/csv"})

    assert (broken.status, done, again.status) == (500, 50, 201)
    assert len({one["id"] for one in again.json["data"]}) == 200
    assert all(secret_opens(counter, one["key"]) for one in again.json["data"])
    assert (count(counter, members), count(counter, keys)) == (200, 200)


async def test_another_call_of_the_same_name_is_refused(counter: Counter) -> None:
    await send(counter, "/groups", {"name": "one"})

    other_body = await send(counter, "/groups", {"name": "two"})
    other_path = await send(counter, "/upstreams", {"name": "one"})

    for answer in (other_body, other_path):
        assert answer.status == 422
        assert answer.json["errors"][0]["field"] == "Idempotency-Key"
    assert (await counter.admin.get("/api/v1/groups/two")).status == 404


async def test_a_refused_call_leaves_its_name_free(counter: Counter) -> None:
    await counter.group(name="taken")

    assert (await send(counter, "/groups", {"name": "taken"})).status == 409
    assert (await send(counter, "/groups", {"name": "free"})).status == 201


async def test_two_at_once_make_one_and_the_second_is_told_of_it(counter: Counter) -> None:
    await counter.group()
    member = await counter.member()
    path = f"/members/{member['id']}/keys"

    answers = await asyncio.gather(*(send(counter, path, {}) for _ in range(5)))

    assert [answer.status for answer in answers] == [201] * 5
    assert len({answer.json["id"] for answer in answers}) == 1
    assert count(counter, keys) == 1
    assert sum(secret_opens(counter, answer.json["key"]) for answer in answers) == 1


async def test_a_name_is_forgotten_after_a_day(counter: Counter) -> None:
    await send(counter, "/upstreams", {"name": "first"})
    counter.clock.advance(KEPT_US / US_PER_SECOND + 1)

    assert (await send(counter, "/upstreams", {"name": "second"})).status == 201
    assert count(counter, idempotency_keys) == 1


@pytest.mark.parametrize("name", ["", "é", "x" * 256, "a\tb"])
async def test_what_is_no_name_is_refused(counter: Counter, name: str) -> None:
    answer = await counter.admin.send(
        "POST", "/api/v1/groups", body={"name": "a"}, headers={"idempotency-key": name}
    )

    assert answer.status == 422


async def test_no_secret_stands_in_what_is_kept(counter: Counter) -> None:
    """K1: only digests and ids."""
    await counter.group()
    member = await counter.member()
    issued = (await send(counter, f"/members/{member['id']}/keys", {})).json

    with counter.database.reader() as connection:
        rows = str(connection.execute(select(idempotency_keys)).all())

    assert issued["id"] in rows
    assert issued["key"] not in rows
    assert NAME["idempotency-key"] not in rows
