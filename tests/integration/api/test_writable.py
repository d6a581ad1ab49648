"""K6: what the ledger keeps and what staff gave is not changed by writing it into a body."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tuckshop.services.shapes.groups import GroupChange, GroupShape
from tuckshop.services.shapes.keys import KeyChange, KeyShape
from tuckshop.services.shapes.members import MemberChange, MemberShape

pytestmark = pytest.mark.anyio

KINDS = {
    "groups": (GroupShape, GroupChange),
    "members": (MemberShape, MemberChange),
    "keys": (KeyShape, KeyChange),
}
WISHED = {"used", "held", "spent", "balance", "digest", "workspace", "role", "owner"}


async def paths_of(counter: Counter) -> dict[str, str]:
    made = await counter.chain(each=["$1/month"])
    return {kind: f"/api/v1/{kind}/{one['id']}" for kind, one in zip(KINDS, made, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_field_that_is_not_listed_as_writable_is_refused_by_name(
    counter: Counter, kind: str
) -> None:
    path = (await paths_of(counter))[kind]
    before = (await counter.admin.get(path)).json
    shown, written = (set(shape.__struct_fields__) for shape in KINDS[kind])

    for field in (shown - written) | WISHED:
        values: tuple[object, ...] = (before.get(field), "other", 0, [], None)
        for value in values:
            answer = await counter.admin.patch(path, {"name": "changed", field: value})
            assert answer.status == 422, answer.body
            assert answer.json["errors"] == [{"field": field, "message": "there is no such field"}]

    assert (await counter.admin.get(path)).json == before


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_holder_writes_nothing_about_themselves(counter: Counter, method: str) -> None:
    group, member, key = await counter.chain(each=["$1/month"])
    wish: dict[str, Any] = {"limits": ["$100/month"], "models": ["*"]}
    before = await counter.admin.send("GET", "/api/v1/me", token=key["key"])

    own = f"keys/{key['id']}", f"members/{member['id']}", f"groups/{group['id']}"
    for path in ("me", *own):
        answer = await counter.admin.send(method, f"/api/v1/{path}", body=wish, token=key["key"])
        assert answer.status in (403, 405), (path, answer.body)

    after = await counter.admin.send("GET", "/api/v1/me", token=key["key"])
    assert after.json["limits"] == before.json["limits"]
