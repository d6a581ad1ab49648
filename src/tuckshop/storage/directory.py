"""Reading the directory: who holds which key and where calls go, all at the start and what changed after a change."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Table, select

from tuckshop.domain.errors import NotFoundError
from tuckshop.domain.records import Group, Member, StaffToken, UpstreamRecord, VirtualKey, Workspace
from tuckshop.storage import schema
from tuckshop.storage.rows import (
    Row,
    group_of,
    key_of,
    member_of,
    token_of,
    upstream_of,
    workspace_of,
)

_IDS_PER_QUERY: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRows:
    """Rows as of `version` of their workspace's directory: all of them, or those that a change touched."""

    version: int
    workspace: Workspace
    groups: tuple[Group, ...] = ()
    members: tuple[Member, ...] = ()
    keys: tuple[VirtualKey, ...] = ()
    tokens: tuple[StaffToken, ...] = ()
    upstreams: tuple[UpstreamRecord, ...] | None = None  # all that there are; None: none changed


def load_directory(connection: Connection) -> list[DirectoryRows]:
    """Every workspace with all its upstreams, groups, members, keys and tokens, archived ones too."""
    workspaces = connection.execute(select(schema.workspaces).order_by(schema.workspaces.c.id))
    return [
        DirectoryRows(
            version=row["directory_version"],
            workspace=workspace_of(row),
            groups=tuple(group_of(r) for r in _all(connection, schema.groups, row["id"])),
            members=tuple(member_of(r) for r in _all(connection, schema.members, row["id"])),
            keys=tuple(key_of(r) for r in _all(connection, schema.keys, row["id"])),
            tokens=tuple(token_of(r) for r in _all(connection, schema.staff_tokens, row["id"])),
            upstreams=load_upstreams(connection, row["id"]),
        )
        for row in workspaces.mappings().all()
    ]


def load_upstreams(connection: Connection, workspace_id: str) -> tuple[UpstreamRecord, ...]:
    """All upstreams of a workspace, in the order in which a model's name is looked for."""
    found = (upstream_of(r) for r in _all(connection, schema.upstreams, workspace_id))
    return tuple(sorted(found, key=lambda upstream: upstream.rank))


def load_some(
    connection: Connection, workspace_id: str, version: int, ids: Collection[str]
) -> DirectoryRows:
    """
    Those of *ids* (of groups, members, keys and tokens; their prefixes tell which) that there are, and their workspace.

    An upstream among them brings all upstreams, since one that is gone has no row.

    Raises:
        NotFoundError: No such workspace.
    """
    row = (
        connection.execute(select(schema.workspaces).where(schema.workspaces.c.id == workspace_id))
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFoundError(f"workspace {workspace_id}")
    return DirectoryRows(
        version=version,
        workspace=workspace_of(row),
        groups=tuple(
            group_of(r) for r in _some(connection, schema.groups, workspace_id, "grp_", ids)
        ),
        members=tuple(
            member_of(r) for r in _some(connection, schema.members, workspace_id, "mem_", ids)
        ),
        keys=tuple(key_of(r) for r in _some(connection, schema.keys, workspace_id, "key_", ids)),
        tokens=tuple(
            token_of(r) for r in _some(connection, schema.staff_tokens, workspace_id, "tok_", ids)
        ),
        upstreams=(
            load_upstreams(connection, workspace_id)
            if any(id_.startswith("upr_") for id_ in ids)
            else None
        ),
    )


def _all(connection: Connection, table: Table, workspace_id: str) -> Iterator[Row]:
    query = select(table).where(table.c.workspace_id == workspace_id).order_by(table.c.id)
    yield from connection.execute(query).mappings()


def _some(
    connection: Connection, table: Table, workspace_id: str, prefix: str, ids: Collection[str]
) -> Iterator[Row]:
    wanted = sorted(id_ for id_ in ids if id_.startswith(prefix))
    for start in range(0, len(wanted), _IDS_PER_QUERY):
        query = select(table).where(
            table.c.workspace_id == workspace_id,
            table.c.id.in_(wanted[start : start + _IDS_PER_QUERY]),
        )
        yield from connection.execute(query).mappings()
