"""How people name members: by id, or by group and external id (`swa/4711`)."""

from __future__ import annotations

from typing import Final

import click

from tuckshop.cli.client import Client, Json, RefusedError

MEMBER: Final = "MEMBER"  # in usage lines
MEMBER_HELP: Final = "A MEMBER is named by id (mem_…) or as GROUP/EXTERNAL_ID (swa/4711)."


def member_id(client: Client, name: str) -> str:
    """
    The id of the member that *name* names, archived ones included.

    Raises:
        click.UsageError: Neither an id nor GROUP/EXTERNAL_ID.
        RefusedError: There is none.
    """
    if "/" not in name:
        if not name.startswith("mem_"):
            raise click.UsageError(f"{name!r} is no member: expected mem_… or GROUP/EXTERNAL_ID.")
        return name
    group, external_id = name.split("/", 1)  # no group has a slash in its name
    if not group or not external_id:
        raise click.UsageError(f"{name!r} is no member: expected mem_… or GROUP/EXTERNAL_ID.")
    found = list(
        client.rows("groups", group, "members", external_id=external_id, state="all", limit=1)
    )
    if not found:
        raise RefusedError(f"There is no member {external_id!r} in the group {group!r}.")
    return str(found[0]["id"])


def member_name(group: str, member: Json) -> str:
    """How a member is named to these commands."""
    return f"{group}/{member['external_id']}"
