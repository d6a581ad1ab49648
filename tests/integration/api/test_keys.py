"""Keys by the admin API, and what the directory says of them."""

from __future__ import annotations

import pytest

from tests.integration.api.conftest import Counter
from tuckshop.domain.keys import digest_of, is_well_formed

pytestmark = pytest.mark.anyio


def opens(counter: Counter, secret: str) -> bool:
    """Whether the directory finds a holder by this secret."""
    return counter.services.directory.find(digest_of(secret), counter.clock.now_us()) is not None


async def test_a_key_is_shown_once_and_kept_as_its_digest(counter: Counter) -> None:
    """K1."""
    _, member, key = await counter.chain()

    read = (await counter.admin.get(f"/api/v1/keys/{key['id']}")).json
    listed = (await counter.admin.get(f"/api/v1/members/{member['id']}/keys")).json["data"]

    secret = key.pop("key")
    assert is_well_formed(secret)
    assert key["last4"] == secret[-4:]
    assert key == {
        "id": key["id"],
        "member": member["id"],
        "name": None,
        "last4": key["last4"],
        "limits": [],
        "models": None,
        "endpoints": None,
        "max_output_tokens": None,
        "tags": [],
        "expires_at": None,
        "last_used_at": None,
        "state": "active",
        "taken_from": None,
        "in_force": [],
    }
    assert read == key
    assert listed == [key]
    assert opens(counter, secret)
    for file in counter.database.path.parent.iterdir():
        assert secret.encode() not in file.read_bytes()


async def test_a_key_narrows_its_member(counter: Counter) -> None:
    await counter.group(each=["$1/month"], models=["gpt-4o", "gpt-4o-mini"])
    member = await counter.member()

    key = await counter.key(
        member["id"],
        name="laptop",
        limits=["$0.1/day"],
        models=["gpt-4o-mini"],
        endpoints=["chat"],
        tags=["ci", "ci"],
        expires_at="2027-01-01T01:00:00+01:00",
    )

    assert [(limit["limit"], limit["scope"]) for limit in key["in_force"]] == [
        ("$0.10/day", "key"),
        ("$1/month", "member"),
    ]
    assert (key["tags"], key["expires_at"]) == (["ci"], "2027-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"limits": ["nothing"]}, "limits[0]"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        ({"state": "active"}, "state"),
        ({"tags": ["x" * 65]}, "tags[0]"),
        ({"key": "sk-tuck-mine"}, "key"),
        ({"member": "mem_other"}, "member"),
    ],
)
async def test_a_field_that_cannot_be_taken_refuses_the_key(
    counter: Counter, fields: dict[str, object], field: str
) -> None:
    _, member, key = await counter.chain()

    made = await counter.admin.post(f"/api/v1/members/{member['id']}/keys", fields)
    changed = await counter.admin.patch(f"/api/v1/keys/{key['id']}", fields)

    assert (made.status, changed.status) == (422, 422)
    assert made.json["errors"][0]["field"] == changed.json["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("verbs", "status", "state"),
    [
        (["pause"], 200, "paused"),
        (["pause", "pause"], 200, "paused"),
        (["pause", "resume"], 200, "active"),
        (["resume"], 200, "active"),
        (["revoke"], 200, "revoked"),
        (["revoke", "revoke"], 200, "revoked"),
        (["revoke", "resume"], 409, "revoked"),
        (["revoke", "pause"], 409, "revoked"),
        (["revoke", "rotate"], 409, "revoked"),
        (["archive"], 200, "archived"),
        (["archive", "resume"], 409, "archived"),
        (["archive", "rotate"], 409, "archived"),
        (["revoke", "archive"], 200, "archived"),
        (["archive", "revoke"], 200, "archived"),
        (["pause", "rotate"], 200, "paused"),
    ],
)
async def test_the_life_of_a_key(
    counter: Counter, verbs: list[str], status: int, state: str
) -> None:
    _, _, key = await counter.chain()

    statuses = [
        (await counter.admin.post(f"/api/v1/keys/{key['id']}/{verb}")).status for verb in verbs
    ]

    assert statuses[-1] == status
    assert (await counter.admin.get(f"/api/v1/keys/{key['id']}")).json["state"] == state


async def test_delete_revokes_and_archives_and_the_record_stays(counter: Counter) -> None:
    _, member, key = await counter.chain()

    deleted = await counter.admin.delete(f"/api/v1/keys/{key['id']}")

    path = f"/api/v1/members/{member['id']}/keys"
    assert deleted.json["state"] == "archived"
    assert (await counter.admin.get(path)).json["data"] == []
    assert [
        found["id"] for found in (await counter.admin.get(path, state="archived")).json["data"]
    ] == [key["id"]]


async def test_rotation_gives_a_new_secret_and_lets_the_old_one_open_for_the_overlap(
    counter: Counter,
) -> None:
    """M14: the same key, so limits and what was used carry over."""
    _, member, _ = await counter.chain()
    key = await counter.key(member["id"], limits=["$1/day"], name="ci")

    rotated = (
        await counter.admin.post(f"/api/v1/keys/{key['id']}/rotate", {"overlap": "24h"})
    ).json

    assert rotated["id"] == key["id"]
    assert (rotated["limits"], rotated["name"]) == (["$1/day"], "ci")
    assert rotated["key"] != key["key"]
    assert rotated["last4"] == rotated["key"][-4:]
    assert opens(counter, key["key"])
    assert opens(counter, rotated["key"])
    counter.clock.advance(86_400)
    assert not opens(counter, key["key"])
    assert opens(counter, rotated["key"])


async def test_rotation_without_overlap_closes_the_old_secret_at_once(counter: Counter) -> None:
    _, _, key = await counter.chain()

    rotated = (await counter.admin.post(f"/api/v1/keys/{key['id']}/rotate")).json

    assert not opens(counter, key["key"])
    assert opens(counter, rotated["key"])


async def test_revoking_closes_the_overlapping_secret_too(counter: Counter) -> None:
    _, _, key = await counter.chain()
    await counter.admin.post(f"/api/v1/keys/{key['id']}/rotate", {"overlap": "7d"})

    await counter.admin.post(f"/api/v1/keys/{key['id']}/revoke")

    assert not opens(counter, key["key"])


@pytest.mark.parametrize("overlap", ["24", "h", "1 day", "-1h", "999999d", 5])
async def test_an_overlap_that_is_no_stretch_of_time_is_refused(
    counter: Counter, overlap: object
) -> None:
    _, _, key = await counter.chain()

    answer = await counter.admin.post(f"/api/v1/keys/{key['id']}/rotate", {"overlap": overlap})

    assert answer.status == 422
    assert answer.json["errors"][0]["field"] == "overlap"


async def test_a_key_past_its_time_is_shown_as_expired(counter: Counter) -> None:
    _, member, other = await counter.chain()
    key = await counter.key(member["id"], expires_at="2026-12-01T00:00:00Z")
    counter.clock.advance(40 * 86_400)

    read = (await counter.admin.get(f"/api/v1/keys/{key['id']}")).json
    expired = (await counter.admin.get("/api/v1/keys", state="expired")).json["data"]
    active = (await counter.admin.get("/api/v1/keys", state="active")).json["data"]

    assert read["state"] == "expired"
    assert [found["id"] for found in expired] == [key["id"]]
    assert [found["id"] for found in active] == [other["id"]]


async def test_listeners_hear_what_stops_being_active(counter: Counter) -> None:
    """K3: running streams can be cut."""
    group, member, key = await counter.chain()
    heard: list[frozenset[str]] = []
    counter.services.directory.on_cut(heard.append)

    await counter.admin.patch(f"/api/v1/keys/{key['id']}", {"name": "still open"})
    await counter.admin.post(f"/api/v1/keys/{key['id']}/pause")
    await counter.admin.post(f"/api/v1/members/{member['id']}/pause")
    await counter.admin.post("/api/v1/groups/swa/pause")

    assert heard == [frozenset({key["id"]}), frozenset({member["id"]}), frozenset({group["id"]})]


async def test_the_directory_is_current_when_the_call_returns(counter: Counter) -> None:
    group, member, key = await counter.chain(each=["$1/month"])
    directory = counter.services.directory
    before = directory.version

    await counter.admin.patch("/api/v1/groups/swa", {"each": ["$0.50/month"]})

    holder = directory.find(digest_of(key["key"]), counter.clock.now_us())
    assert holder is not None
    assert directory.version == before + 1 == holder.directory_version
    assert [str(limit) for limit in holder.group.each] == ["$0.50/month"]
    assert (holder.group.id, holder.member.id, holder.key.id) == (
        group["id"],
        member["id"],
        key["id"],
    )


async def test_a_change_that_changes_nothing_leaves_no_trace(counter: Counter) -> None:
    await counter.group(title="Same")
    before = counter.services.directory.version

    await counter.admin.patch("/api/v1/groups/swa", {"title": "Same"})

    assert counter.services.directory.version == before
