"""`ETag` and `If-Match`: nobody overwrites what they have not seen."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.support.asgi_client import Answer
from tuckshop.api.routes import ROUTES

pytestmark = pytest.mark.anyio

EDITS: dict[str, dict[str, Any]] = {
    "group": {"title": "T"},
    "member": {"name": "N"},
    "key": {"tags": ["t"]},
    "upstream": {"models": ["m"]},
    "webhook": {"kinds": ["flag"]},
}


async def places(counter: Counter) -> dict[str, str]:
    """Where one of each stands."""
    group, member, key = await counter.chain()
    upstream = await counter.admin.post("/api/v1/upstreams", {"name": "second"})
    webhook = await counter.admin.post("/api/v1/webhooks", {"url": "https://hooks.example.org/"})
    return {
        "group": f"/api/v1/groups/{group['id']}",
        "member": f"/api/v1/members/{member['id']}",
        "key": f"/api/v1/keys/{key['id']}",
        "upstream": f"/api/v1/upstreams/{upstream.json['id']}",
        "webhook": f"/api/v1/webhooks/{webhook.json['id']}",
    }


async def change(counter: Counter, method: str, path: str, tag: str, body: Any = None) -> Answer:
    return await counter.admin.send(method, path, body=body, headers={"if-match": tag})


async def test_every_route_that_is_conditional_is_tried_here() -> None:
    conditional = (route for route in ROUTES if route.is_conditional)
    names = {(*route.parameters, route.path.rpartition("/")[2])[0] for route in conditional}

    elsewhere = {"token", "workspace", "privacy"}  # test_tokens, test_workspace, test_papers
    assert names <= EDITS.keys() | elsewhere


@pytest.mark.parametrize("kind", sorted(EDITS))
async def test_a_stale_change_is_refused_and_tells_what_happened(
    counter: Counter, kind: str
) -> None:
    path = (await places(counter))[kind]
    seen = (await counter.admin.get(path)).headers["etag"]

    first = await change(counter, "PATCH", path, seen, EDITS[kind])
    stale = await change(counter, "PATCH", path, seen, {})
    gone = await change(counter, "DELETE", path, seen)

    assert (first.status, stale.status, gone.status) == (200, 412, 412)
    assert first.headers["etag"] != seen
    assert first.headers["etag"] == (await counter.admin.get(path)).headers["etag"]
    (field,) = EDITS[kind]
    shown = "personal" if kind == "member" else field  # of persons only that they changed (P8)
    assert "by operator" in stale.json["detail"]
    if kind != "key":  # free text of keys is in no audit row
        assert shown in stale.json["detail"]
    assert (await change(counter, "DELETE", path, first.headers["etag"])).status == 200


@pytest.mark.parametrize("kind", sorted(EDITS))
async def test_any_version_and_one_of_several_will_do(counter: Counter, kind: str) -> None:
    path = (await places(counter))[kind]
    seen = (await counter.admin.get(path)).headers["etag"]

    assert (await change(counter, "PATCH", path, f'"other", {seen}', {})).status == 200
    assert (await change(counter, "PATCH", path, "*", {})).status == 200
    assert (await change(counter, "PATCH", path, f"W/{seen}", {})).status == 412
    assert (await change(counter, "PATCH", path, "no quotes", {})).status == 422


async def test_what_limits_have_used_is_no_part_of_a_version(counter: Counter) -> None:
    group, member, key = await counter.chain(each=["$1/month"], shared=["$5/month"])
    paths = [f"/api/v1/groups/{group['id']}", f"/api/v1/members/{member['id']}"]
    paths.append(f"/api/v1/keys/{key['id']}")
    before = [(await counter.admin.get(path)).headers["etag"] for path in paths]

    counter.clock.advance(40 * 86_400)  # other windows, another resets_at
    for path in paths:
        await counter.admin.post(f"{path}/reset")

    assert [(await counter.admin.get(path)).headers["etag"] for path in paths] == before


async def test_of_many_changes_based_on_one_version_one_is_made(counter: Counter) -> None:
    """A race: the version is looked at inside the transaction."""
    path = (await places(counter))["group"]
    seen = (await counter.admin.get(path)).headers["etag"]

    answers = await asyncio.gather(
        *(change(counter, "PATCH", path, seen, {"title": f"T{n}"}) for n in range(20))
    )

    assert sorted(answer.status for answer in answers) == [200] + [412] * 19
    won = next(answer for answer in answers if answer.status == 200)
    assert (await counter.admin.get(path)).json["title"] == won.json["title"]


async def test_without_a_condition_the_last_one_wins(counter: Counter) -> None:
    path = (await places(counter))["group"]

    await counter.admin.patch(path, {"title": "first"})
    assert (await counter.admin.patch(path, {"title": "second"})).json["title"] == "second"


async def test_a_condition_where_none_is_read_is_refused(counter: Counter) -> None:
    path = (await places(counter))["group"]

    assert (await change(counter, "POST", f"{path}/pause", "*")).status == 422
    assert (await counter.admin.get(path)).json["state"] == "active"
