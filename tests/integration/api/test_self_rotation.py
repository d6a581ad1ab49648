"""A holder gives their key a new secret, where their group lets them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.support.asgi_client import Answer
from tuckshop.domain.keys import digest_of, is_well_formed

pytestmark = pytest.mark.anyio


async def rotated(counter: Counter, secret: str) -> Answer:
    return await counter.admin.send("POST", "/api/v1/me/rotate", token=secret)


def opens(counter: Counter, secret: str) -> bool:
    return counter.services.directory.find(digest_of(secret), counter.clock.now_us()) is not None


async def test_a_holder_rotates_and_the_old_secret_stops_at_once(counter: Counter) -> None:
    """K21, M14: the same key with its limits, and nothing told but the key itself."""
    _, member, _ = await counter.chain(self_rotate=True)
    key = await counter.key(member["id"], limits=["$1/day"], tags=["ci"])

    answer = await rotated(counter, key["key"])

    new = answer.json["key"]
    assert answer.json == {"id": key["id"], "key": new, "last4": new[-4:]}
    assert is_well_formed(new)
    assert (opens(counter, key["key"]), opens(counter, new)) == (False, True)
    read = (await counter.admin.get(f"/api/v1/keys/{key['id']}")).json
    assert (read["limits"], read["tags"], read["state"]) == (["$1/day"], ["ci"], "active")
    row = (await counter.admin.get("/api/v1/audit", limit="1")).json["data"][0]
    assert (row["action"], row["actor"], row["object"]) == (
        "key.rotate",
        f"member:{member['id']}",
        key["id"],
    )
    assert new not in str(row)


async def test_where_the_group_does_not_say_so_nobody_rotates(counter: Counter) -> None:
    """K21, K6."""
    _, _, key = await counter.chain()

    answer = await rotated(counter, key["key"])

    assert answer.status == 403
    assert "ask the people who gave you this one" in answer.json["detail"]
    assert opens(counter, key["key"])


async def test_three_times_a_day_of_the_groups_zone_and_then_again_tomorrow(
    counter: Counter,
) -> None:
    """K21."""
    _, _, key = await counter.chain(self_rotate=True, time_zone="Asia/Tokyo")
    secret = key["key"]
    for _ in range(3):
        secret = (await rotated(counter, secret)).json["key"]

    refused = await rotated(counter, secret)

    assert refused.status == 429
    assert "3 times today" in refused.json["detail"]
    assert opens(counter, secret)
    counter.clock.advance(int(refused.headers["retry-after"]) + 1)
    assert (await rotated(counter, secret)).status == 200


async def test_the_secret_before_a_rotation_opens_but_rotates_nothing(counter: Counter) -> None:
    """K21: who found an old secret cannot take the key away from its holder."""
    _, _, key = await counter.chain(self_rotate=True)
    new = (await counter.admin.post(f"/api/v1/keys/{key['id']}/rotate", {"overlap": "24h"})).json

    by_old = await rotated(counter, key["key"])
    by_new = await rotated(counter, new["key"])

    assert (by_old.status, by_new.status) == (403, 200)
    assert not opens(counter, key["key"]), "no overlap outlives a rotation of the holder's"


@pytest.mark.parametrize("verb", ["pause", "revoke", "archive"])
async def test_only_active_keys_rotate(counter: Counter, verb: str) -> None:
    """K21, K3."""
    _, _, key = await counter.chain(self_rotate=True)
    await counter.admin.post(f"/api/v1/keys/{key['id']}/{verb}")

    assert (await rotated(counter, key["key"])).status in (401, 403)


async def test_of_two_rotations_at_once_one_counts(counter: Counter) -> None:
    """K21: nobody is told a secret that does not open."""
    _, _, key = await counter.chain(self_rotate=True)

    answers = await asyncio.gather(*(rotated(counter, key["key"]) for _ in range(4)))

    won: list[dict[str, Any]] = [answer.json for answer in answers if answer.status == 200]
    assert len(won) == 1
    assert opens(counter, won[0]["key"])
    assert {answer.status for answer in answers} <= {200, 401}
