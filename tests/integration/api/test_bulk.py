"""One thing done to many keys or members, found by a filter."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tuckshop.domain.actor import Actor
from tuckshop.domain.keys import digest_of
from tuckshop.services.shapes.bulk import KeyBulk, KeyFilter

pytestmark = pytest.mark.anyio


async def classes(counter: Counter) -> dict[str, dict[str, Any]]:
    """Two groups with a member each; the first has three keys, the second one."""
    made: dict[str, dict[str, Any]] = {}
    for name in ("swa", "other"):
        await counter.group(name=name)
        made[name] = await counter.member(name, external_id=f"{name}-1")
    for name, fields in (
        ("laptop", {"name": "laptop"}),
        ("ci-1", {"name": "ci-1", "tags": ["ci", "old"]}),
        ("ci-2", {"name": "ci-2", "tags": ["ci"]}),
    ):
        made[name] = await counter.key(made["swa"]["id"], **fields)
    made["far"] = await counter.key(made["other"]["id"], name="far", tags=["ci"])
    return made


async def bulk(counter: Counter, kind: str = "keys", **body: Any) -> dict[str, Any]:
    answer = await counter.admin.post(f"/api/v1/{kind}/bulk", body)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def results(report: dict[str, Any]) -> dict[str, str]:
    return {row["id"]: row["result"] for row in report["data"]}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"group": "swa"}, {"laptop", "ci-1", "ci-2"}),
        ({"group": "swa", "tags": ["ci"]}, {"ci-1", "ci-2"}),
        ({"tags": ["ci", "old"]}, {"ci-1"}),
        ({"tags": ["ci"]}, {"ci-1", "ci-2", "far"}),
        ({"name": "ci-*"}, {"ci-1", "ci-2"}),
        ({"name": "ci"}, set()),
        ({"state": "paused"}, set()),
        ({"state": "active", "group": "other"}, {"far"}),
        ({"last_used_before": "2100-01-01"}, {"laptop", "ci-1", "ci-2", "far"}),
        ({"taken_from": "litellm"}, set()),
    ],
)
async def test_a_filter_finds_what_is_all_of_it(
    counter: Counter, asked: dict[str, Any], found: set[str]
) -> None:
    made = await classes(counter)

    report = await bulk(counter, action="pause", filter=asked, dry_run=True)

    assert set(results(report)) == {made[name]["id"] for name in found}
    assert report["matched"] == report["done"] == len(found)


async def test_a_dry_run_changes_nothing_and_the_same_again_neither(counter: Counter) -> None:
    made = await classes(counter)
    version = counter.services.directory.version
    asked: dict[str, Any] = {"action": "pause", "filter": {"group": "swa"}}

    dry = await bulk(counter, **asked, dry_run=True)
    assert counter.services.directory.version == version
    done = await bulk(counter, **asked)
    again = await bulk(counter, **asked)

    assert {**dry, "dry_run": False} == done
    assert (done["done"], again["done"], again["unchanged"]) == (3, 0, 3)
    states = [
        (await counter.admin.get(f"/api/v1/keys/{made[name]['id']}")).json["state"]
        for name in ("laptop", "ci-1", "far")
    ]
    assert states == ["paused", "paused", "active"]


async def test_what_an_action_cannot_be_done_to_is_skipped_with_the_reason(
    counter: Counter,
) -> None:
    made = await classes(counter)
    await counter.admin.post(f"/api/v1/keys/{made['ci-1']['id']}/revoke")
    await counter.admin.post(f"/api/v1/keys/{made['ci-2']['id']}/archive")

    report = await bulk(counter, action="resume", filter={"group": "swa"})
    named = await bulk(counter, action="rotate", filter={"keys": [made["ci-2"]["id"]]})

    assert results(report) == {made["laptop"]["id"]: "unchanged", made["ci-1"]["id"]: "skipped"}
    assert {row["reason"] for row in report["data"]} == {None, "is revoked, which is for good"}
    assert (named["skipped"], named["data"][0]["reason"]) == (1, "is archived, which is for good")


async def test_rotating_many_gives_each_its_new_secret_once(counter: Counter) -> None:
    """M14, K1."""
    made = await classes(counter)

    report = await bulk(counter, action="rotate", filter={"group": "swa"}, overlap="1h")

    secrets = {row["id"]: row["key"] for row in report["data"]}
    for name in ("laptop", "ci-1", "ci-2"):
        for secret in (made[name]["key"], secrets[made[name]["id"]]):
            holder = counter.services.directory.find(digest_of(secret), counter.clock.now_us())
            assert holder is not None
            assert holder.key.id == made[name]["id"]
    assert len(set(secrets.values())) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "pause"}, "filter"),
        ({"action": "pause", "filter": {}}, "filter"),
        ({"action": "pause", "filter": {"group": "swa"}, "all": True}, "all"),
        ({"action": "pause", "filter": {"group": "swa"}, "overlap": "1h"}, "overlap"),
        ({"action": "rotate", "filter": {"group": "swa"}, "overlap": "soon"}, "overlap"),
        ({"action": "erase", "filter": {"group": "swa"}}, "action"),
        ({"action": "pause", "filter": {"grp": "swa"}}, "filter.grp"),
        (
            {"action": "pause", "filter": {"last_used_before": "soon"}},
            "filter.last_used_before",
        ),
    ],
)
async def test_a_filter_that_means_everything_or_cannot_be_read_does_nothing(
    counter: Counter, body: dict[str, Any], field: str
) -> None:
    await classes(counter)
    version = counter.services.directory.version

    answer = await counter.admin.post("/api/v1/keys/bulk", body)

    assert answer.status == 422
    assert answer.json["errors"][0]["field"] == field
    assert counter.services.directory.version == version


async def test_everything_has_to_be_said(counter: Counter) -> None:
    await classes(counter)

    assert (await bulk(counter, action="pause", all=True))["done"] == 4


async def test_staff_of_one_group_find_only_its_keys(counter: Counter) -> None:
    """K5."""
    made = await classes(counter)
    group = counter.services.directory.member(made["swa"]["id"], Actor(kind="system", groups=None))
    staff = Actor(kind="token", role="assistant", groups=frozenset({group.group_id}))

    report = await counter.services.bulk.keys(
        staff, KeyBulk(action="pause", filter=KeyFilter(tags=["ci"]))
    )

    assert {row.id for row in report.data} == {made["ci-1"]["id"], made["ci-2"]["id"]}


async def test_members_in_bulk(counter: Counter) -> None:
    """K3: paused members' streams are cut like those of one."""
    made = await classes(counter)
    heard: list[frozenset[str]] = []
    counter.services.directory.on_cut(heard.append)

    paused = await bulk(counter, "members", action="pause", filter={"external_id": "swa-*"})
    reset = await bulk(counter, "members", action="reset", filter={"group": "swa"}, total=True)
    archived = await bulk(counter, "members", action="archive", filter={"state": "paused"})
    again = await bulk(counter, "members", action="pause", filter={"members": [made["swa"]["id"]]})

    assert heard == [frozenset({made["swa"]["id"]})]
    assert [one["done"] for one in (paused, reset, archived, again)] == [1, 1, 1, 0]
    assert again["data"][0]["reason"] == "is archived: resume them first"


async def test_many_keys_go_by_batches_and_leave_a_row_each(counter: Counter) -> None:
    await counter.group()
    members = await counter.admin.post(
        "/api/v1/groups/swa/members",
        [{"external_id": str(number)} for number in range(120)],
        issue_keys="true",
    )
    assert members.status == 201
    version = counter.services.directory.version

    report = await bulk(counter, action="pause", filter={"group": "swa"})

    assert report["done"] == 120
    assert counter.services.directory.version == version + 3, "50 to a transaction"
    rows = (await counter.admin.get("/api/v1/audit", action="key.pause", limit="200")).json["data"]
    assert len(rows) == 120
