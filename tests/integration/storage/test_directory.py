"""Rows become the records that were written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import insert

from tests.integration.storage.notes import NOON_US, ManualClock, writing
from tuckshop.domain.errors import NotFoundError
from tuckshop.domain.limits import parse_limit
from tuckshop.domain.records import Group, Member, VirtualKey, Workspace
from tuckshop.domain.windows import ZoneHistory
from tuckshop.storage import schema
from tuckshop.storage.directory import load_directory, load_some
from tuckshop.storage.rows import text_of_limits, text_of_list, text_of_zone
from tuckshop.storage.transaction import Transaction

ZONE = ZoneHistory(((0, "UTC"), (NOON_US, "Europe/Berlin")))
LIMITS = (parse_limit("$0.20/month"), parse_limit("35 requests/minute on gpt-4o-mini"))

WORKSPACE = Workspace(id="wsp_default", zone=ZONE, limits=LIMITS[:1], models=("gpt-*",))
GROUP = Group(
    id="grp_1",
    workspace_id="wsp_default",
    name="swa-2026",
    title="Software architecture",
    zone=ZONE,
    each=LIMITS,
    shared=(),
    models=("gpt-4o-mini", "text-embedding-*"),
    endpoints=None,
    max_output_tokens=2000,
    min_output_tokens=1024,
    patience_s=20,
    on_disconnect="drain",
    unknown_parameters="refuse",
    show_shared=True,
    state="active",
)
MEMBER = Member(
    id="mem_1",
    group_id="grp_1",
    external_id="Ada@Example.org",
    name="Ada",
    email=None,
    limits=(),
    models=(),
    endpoints=("chat",),
    max_output_tokens=None,
    state="paused",
)
KEY = VirtualKey(
    id="key_1",
    group_id="grp_1",
    member_id="mem_1",
    name=None,
    digest=b"d" * 32,
    last4="wxyz",
    previous_digest=b"p" * 32,
    previous_until_us=NOON_US,
    limits=LIMITS[1:],
    models=None,
    endpoints=None,
    max_output_tokens=16,
    tags=("laptop",),
    expires_at_us=None,
    state="active",
)


def write_all(transaction: Transaction) -> None:
    connection = transaction.connection
    common = {"workspace_id": "wsp_default", "created_at": transaction.now_us}
    connection.execute(
        insert(schema.workspaces),
        {
            "id": "wsp_default",
            "name": "default",
            "zone_changes": text_of_zone(ZONE),
            "limits": text_of_limits(LIMITS[:1]),
            "models": text_of_list(["gpt-*"]),
            "created_at": transaction.now_us,
        },
    )
    connection.execute(
        insert(schema.groups),
        {
            **common,
            "id": "grp_1",
            "name": "swa-2026",
            "title": "Software architecture",
            "zone_changes": text_of_zone(ZONE),
            "each_limits": text_of_limits(LIMITS),
            "models": text_of_list(["gpt-4o-mini", "text-embedding-*"]),
            "max_output_tokens": 2000,
            "min_output_tokens": 1024,
            "patience_s": 20,
            "on_disconnect": "drain",
            "unknown_parameters": "refuse",
            "show_shared": True,
            "state": "active",
        },
    )
    connection.execute(
        insert(schema.members),
        {
            **common,
            "id": "mem_1",
            "group_id": "grp_1",
            "external_id": "Ada@Example.org",
            "external_id_folded": "ada@example.org",
            "name": "Ada",
            "models": text_of_list([]),
            "endpoints": text_of_list(["chat"]),
            "state": "paused",
        },
    )
    connection.execute(
        insert(schema.keys),
        {
            **common,
            "id": "key_1",
            "group_id": "grp_1",
            "member_id": "mem_1",
            "digest": b"d" * 32,
            "previous_digest": b"p" * 32,
            "previous_until": NOON_US,
            "last4": "wxyz",
            "limits": text_of_limits(LIMITS[1:]),
            "max_output_tokens": 16,
            "tags": text_of_list(["laptop"]),
            "state": "active",
        },
    )


def test_the_directory_is_what_was_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, database):
            await writer.transact(write_all)
            version = await writer.transact(lambda t: t.touch_directory())

            with database.reader() as connection:
                (rows,) = load_directory(connection)

            assert rows.version == version == 2
            assert rows.workspace == WORKSPACE
            assert rows.groups == (GROUP,)
            assert rows.members == (MEMBER,)
            assert rows.keys == (KEY,)

    asyncio.run(main())


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, _):
            await writer.transact(write_all)

            rows = await writer.transact(
                lambda t: load_some(t.connection, "wsp_default", 7, {"mem_1", "key_none"})
            )

            assert rows.version == 7
            assert rows.workspace == WORKSPACE
            assert rows.members == (MEMBER,)
            assert rows.groups == ()
            assert rows.keys == ()
            with pytest.raises(NotFoundError):
                await writer.transact(lambda t: load_some(t.connection, "wsp_x", 1, ()))

    asyncio.run(main())


def test_a_change_of_many_is_read_in_pieces(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, _):
            await writer.transact(write_all)
            ids = [f"mem_{i}" for i in range(1500)]

            rows = await writer.transact(lambda t: load_some(t.connection, "wsp_default", 1, ids))

            assert rows.members == (MEMBER,)

    asyncio.run(main())


def test_the_zones_of_groups_are_those_whose_midnights_count(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, database):
            await writer.transact(write_all)

            zones = await writer.transact(database.zones)

            assert zones == {"UTC", "Europe/Berlin"}

    asyncio.run(main())
