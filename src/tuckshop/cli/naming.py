"""How people name members: by id, or by group and external id (`swa/4711`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import click

from tuckshop.cli.client import Client, RefusedError

NAMED_MAX: Final = 100
_LOOKED_THROUGH: Final = 200  # of those whose id, name or e-mail holds what was said
_MEANT_MAX: Final = 3


def member_id(client: Client, name: str) -> str:
    """
    The id of the member that *name* names, archived ones included.

    Raises:
        click.UsageError: Neither an id nor GROUP/EXTERNAL_ID.
        RefusedError: There is none.
    """
    if "/" not in name:
        if not name.startswith("mem_"):
            meant = _meant(client, name)
            raise click.UsageError(
                f"{name!r} is no member: expected mem_… or GROUP/EXTERNAL_ID.{meant}"
            )
        return name
    group, external_id = name.split("/", 1)  # no group has a slash in its name
    if not group or not external_id:
        raise click.UsageError(f"{name!r} is no member: expected mem_… or GROUP/EXTERNAL_ID.")
    found = list(
        client.rows("groups", group, "members", external_id=external_id, state="all", limit=1)
    )
    if not found:
        meant = _meant(client, external_id)
        raise RefusedError(f"There is no member {external_id!r} in the group {group!r}.{meant}")
    return str(found[0]["id"])


def _meant(client: Client, external_id: str) -> str:
    """A question, on a line of its own, about who is called alike but for leading zeros and case, in any group."""
    bare = _bare(external_id)
    rows = client.rows("members", q=bare, state="all", limit=_LOOKED_THROUGH)
    alike = [one for one in rows if _bare(str(one["external_id"])) == bare]
    if not alike:
        return ""
    groups = {str(one["id"]): str(one["name"]) for one in client.rows("groups", state="all")}
    names = [f"{groups.get(one['group'], one['group'])}/{one['external_id']}" for one in alike]
    more = " …" if len(names) > _MEANT_MAX else ""
    return f"\nDid you mean {', '.join(names[:_MEANT_MAX])}{more}?"


def _bare(external_id: str) -> str:
    return external_id.strip().lstrip("0").casefold() or external_id.strip()


def member_names(client: Client, member_ids: Collection[str]) -> Mapping[str, str]:
    """How members are named to these commands, by id, however many they are."""
    if len(member_ids) <= NAMED_MAX:
        return names_of(client, member_ids)
    groups = {str(one["id"]): str(one["name"]) for one in client.rows("groups", state="all")}
    return {
        one["id"]: f"{groups.get(one['group'], one['group'])}/{one['external_id']}"
        for one in client.rows("members", state="all")
        if one["id"] in member_ids
    }


def names_of(client: Client, member_ids: Iterable[str]) -> Mapping[str, str]:
    """
    How members and groups are named to these commands, by id: `swa/4711`, `swa`. For tables that people read.

    Of many members none are looked up: their ids do as well.
    """
    groups = {str(one["id"]): str(one["name"]) for one in client.rows("groups", state="all")}
    ids = set(member_ids)
    if len(ids) > NAMED_MAX:
        return groups
    members = {id_: client.get("members", id_) for id_ in sorted(ids)}
    return groups | {
        id_: f"{groups.get(one['group'], one['group'])}/{one['external_id']}"
        for id_, one in members.items()
    }
