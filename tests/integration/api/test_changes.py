"""How changes are made, whoever leaves and whatever fails."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, update

from tests.integration.api.conftest import Counter
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.errors import ConflictError
from tuckshop.services.changes import Edit
from tuckshop.services.opening import open_directory
from tuckshop.storage.audit import first_broken_audit_row
from tuckshop.storage.schema import audit, groups

pytestmark = pytest.mark.anyio


async def test_a_change_whose_caller_left_reaches_the_directory(counter: Counter) -> None:
    """The client hangs up in the middle: what was committed must not be missed (K3)."""
    await counter.group()

    call = asyncio.ensure_future(counter.admin.post("/api/v1/groups/swa/pause"))
    for _ in range(5):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await counter.services.changes.close()

    assert counter.services.directory.group("swa", OPERATOR).state == "paused"


async def test_what_fails_leaves_no_trace(counter: Counter) -> None:
    await counter.group()
    before = counter.services.directory.version

    def work(edit: Edit) -> None:
        edit.connection.execute(update(groups).values(title="changed"))
        edit.audit("group.change", "grp_x", None, {"title": "changed"})
        edit.touch(counter.services.directory.group("swa", OPERATOR).id)
        raise ConflictError("no")

    with pytest.raises(ConflictError):
        await counter.services.changes.make(OPERATOR, work)

    assert counter.services.directory.version == before
    assert (await counter.admin.get("/api/v1/groups/swa")).json["title"] == ""
    with counter.database.reader() as connection:
        actions = list(connection.execute(select(audit.c.action)).scalars())
    assert actions == ["workspace.create", "group.create"]


async def test_changes_made_together_all_arrive(counter: Counter) -> None:
    """A race: fifty groups, members and keys at once, and one directory."""
    names = [f"g{number}" for number in range(50)]

    async def one(name: str) -> str:
        await counter.group(name=name)
        member = await counter.member(name)
        key = await counter.key(member["id"])
        await counter.admin.patch(f"/api/v1/keys/{key['id']}", {"models": [name]})
        return str(key["id"])

    key_ids = await asyncio.gather(*(one(name) for name in names))

    directory = counter.services.directory
    for name, key_id in zip(names, key_ids, strict=True):
        holder = directory.holder(key_id)
        assert (holder.group.name, holder.key.models) == (name, (name,))
        assert holder.directory_version == directory.version


async def test_only_one_of_many_gets_a_name(counter: Counter) -> None:
    answers = await asyncio.gather(
        *(counter.admin.post("/api/v1/groups", {"name": "swa"}) for _ in range(20))
    )

    assert sorted(answer.status for answer in answers) == [201] + [409] * 19


async def test_the_audit_trail_is_whole_and_names_who_acted(counter: Counter) -> None:
    """K16."""
    _, member, key = await counter.chain()
    for path in (
        f"keys/{key['id']}/pause",
        f"keys/{key['id']}/resume",
        f"keys/{key['id']}/rotate",
        f"keys/{key['id']}/reset",
        f"keys/{key['id']}/revoke",
        f"members/{member['id']}/pause",
        f"members/{member['id']}/reset",
        "groups/swa/pause",
        "groups/swa/reset",
    ):
        assert (await counter.admin.post(f"/api/v1/{path}")).status == 200
    await counter.admin.delete(f"/api/v1/keys/{key['id']}")
    await counter.admin.delete(f"/api/v1/members/{member['id']}")
    await counter.admin.delete("/api/v1/groups/swa")

    with counter.database.reader() as connection:
        rows = connection.execute(select(audit).order_by(audit.c.number)).all()
        assert first_broken_audit_row(connection, rows[0].workspace_id) is None
    assert [(row.actor, row.action) for row in rows] == [
        ("system", "workspace.create"),
        ("operator", "group.create"),
        ("operator", "member.create"),
        ("operator", "key.create"),
        ("operator", "key.pause"),
        ("operator", "key.resume"),
        ("operator", "key.rotate"),
        ("operator", "key.reset"),
        ("operator", "key.revoke"),
        ("operator", "member.pause"),
        ("operator", "member.reset"),
        ("operator", "group.pause"),
        ("operator", "group.reset"),
        ("operator", "key.archive"),
        ("operator", "member.archive"),
        ("operator", "group.archive"),
    ]
    assert key["key"].encode() not in repr(rows).encode()


async def test_the_directory_is_the_same_when_it_is_read_again(counter: Counter) -> None:
    _, _, key = await counter.chain(each=["$1/month"], models=["gpt-4o"])

    again = await open_directory(counter.writer, zone="UTC")

    assert again.holder(key["id"]) == counter.services.directory.holder(key["id"])


async def test_another_zone_of_the_server_keeps_the_workspaces_history(counter: Counter) -> None:
    """After a change of zone the running window keeps its end."""
    moved = await open_directory(counter.writer, zone="Europe/Berlin")

    assert moved.workspace.zone.current == "Europe/Berlin"
    assert [zone for _, zone in moved.workspace.zone.changes] == ["UTC", "Europe/Berlin"]
    again = await open_directory(counter.writer, zone="Europe/Berlin")
    assert again.workspace == moved.workspace
