"""Groups, members and keys of another gateway, put in by the admin API."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tuckshop.domain.keys import digest_of, is_well_formed

pytestmark = pytest.mark.anyio

SECRET = "sk-foreign-0001"


def document(**changes: Any) -> dict[str, Any]:
    return {
        "gateway": "litellm",
        "groups": [{"name": "swa", "shared": ["$50/month"]}],
        "members": [{"group": "swa", "external_id": "Ada@Example.org", "limits": ["$2/week"]}],
        "keys": [
            {
                "group": "swa",
                "external_id": "ada@example.org",
                "digest": hashlib.sha256(SECRET.encode()).hexdigest(),
                "last4": "0001",
                "name": "laptop",
                "limits": ["$0.2/month"],
                "tags": ["ci"],
            }
        ],
        **changes,
    }


async def take(counter: Counter, dry_run: bool = False, **changes: Any) -> dict[str, Any]:
    query = {"dry_run": "true"} if dry_run else {}
    answer = await counter.admin.post("/api/v1/takeovers", document(**changes), **query)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def keys(counter: Counter) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await counter.admin.get("/api/v1/keys", state="all")).json[
        "data"
    ]
    return found


def opens(counter: Counter, secret: str) -> bool:
    return counter.services.directory.find(digest_of(secret), counter.clock.now_us()) is not None


async def test_a_key_goes_on_opening_and_its_secret_is_known_to_nobody(counter: Counter) -> None:
    """K1."""
    report = await take(counter)

    assert [report[what]["new"] for what in ("groups", "members", "keys")] == [1, 1, 1]
    assert report["errors"] == []
    (key,) = await keys(counter)
    assert (key["last4"], key["taken_from"], key["limits"], key["tags"]) == (
        *("0001", "litellm"),
        ["$0.20/month"],
        ["ci"],
    )
    assert opens(counter, SECRET)
    assert (await counter.admin.send("GET", "/api/v1/me", token=SECRET)).status == 200
    assert (await counter.admin.send("GET", "/api/v1/me", token="sk-foreign-0002")).status == 401


async def test_a_dry_run_changes_nothing_and_the_same_again_neither(counter: Counter) -> None:
    dry = await take(counter, dry_run=True)
    assert not await keys(counter)
    assert {**dry, "dry_run": False} == await take(counter)
    version = counter.services.directory.version

    again = await take(counter)

    assert counter.services.directory.version == version
    assert [again[what] for what in ("groups", "members", "keys")] == [
        {"new": 0, "unchanged": 1, "refused": 0}
    ] * 3


async def test_what_staff_changed_since_is_not_undone(counter: Counter) -> None:
    """M14."""
    await take(counter)
    (key,) = await keys(counter)
    await counter.admin.patch("/api/v1/groups/swa", {"shared": ["$5/month"]})
    await counter.admin.post(f"/api/v1/keys/{key['id']}/pause")

    await take(counter)

    assert (await counter.admin.get("/api/v1/groups/swa")).json["shared"] == ["$5/month"]
    assert [one["state"] for one in await keys(counter)] == ["paused"]


async def test_a_rotated_key_has_our_format_and_its_old_secret_never_comes_back(
    counter: Counter,
) -> None:
    """K1, M14: not by the file it came with either."""
    await take(counter)
    (key,) = await keys(counter)
    directory = counter.services.directory
    assert directory.holds_foreign_keys

    new = (await counter.admin.post(f"/api/v1/keys/{key['id']}/rotate")).json
    again = await take(counter)

    assert is_well_formed(new["key"])
    assert (new["last4"], new["taken_from"]) == (new["key"][-4:], "litellm")
    assert again["keys"] == {"new": 0, "unchanged": 1, "refused": 0}
    assert not opens(counter, SECRET)
    assert not directory.holds_foreign_keys
    assert len(await keys(counter)) == 1


async def test_one_that_cannot_be_taken_stops_no_other(counter: Counter) -> None:
    (good,) = document()["keys"]
    report = await take(
        counter,
        members=[*document()["members"], {"group": "nosuch", "external_id": "x"}],
        keys=[
            good,
            {**good, "digest": "ab" * 32, "limits": ["much"]},
            {**good, "digest": "cd" * 32, "external_id": "nobody"},
            good,
        ],
    )

    assert report["keys"] == {"new": 1, "unchanged": 1, "refused": 2}
    assert [(one["what"], one["name"]) for one in report["errors"]] == [
        ("member", "nosuch/x"),
        ("key", "laptop"),
        ("key", "laptop"),
    ]


async def test_nothing_is_put_on_somebody_who_left(counter: Counter) -> None:
    await counter.group()
    member = await counter.member(external_id="ada@example.org")
    await counter.admin.delete(f"/api/v1/members/{member['id']}")

    report = await take(counter)

    assert report["keys"]["refused"] == 1
    assert "archived" in report["errors"][0]["message"]
    assert not opens(counter, SECRET)


@pytest.mark.parametrize("digest", ["", "AB" * 32, "ab" * 31, SECRET])
async def test_only_a_digest_is_taken_for_one(counter: Counter, digest: str) -> None:
    """K1: no secret is sent here by mistake."""
    (key,) = document()["keys"]

    answer = await counter.admin.post(
        "/api/v1/takeovers", document(keys=[{**key, "digest": digest}])
    )

    assert answer.status == 422
    assert answer.json["errors"][0]["field"] == "keys[0].digest"


async def test_a_key_that_is_known_by_its_digest_here_is_not_taken_again(counter: Counter) -> None:
    """M14: a key of our own, exported and brought back, is still that key."""
    await counter.group()
    own = await counter.key((await counter.member())["id"])
    (key,) = document()["keys"]

    report = await take(counter, keys=[{**key, "digest": digest_of(own["key"]).hex()}])

    assert report["keys"] == {"new": 0, "unchanged": 1, "refused": 0}
