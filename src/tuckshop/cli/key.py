"""`tuckshop key`: the virtual keys of members."""

from __future__ import annotations

from copy import copy
from typing import Final

import click

from tuckshop.cli import hand_out as handing_out
from tuckshop.cli import options, times
from tuckshop.cli.client import Client, Json
from tuckshop.cli.key_find import find
from tuckshop.cli.key_output import hand_out, key_id, show_key
from tuckshop.cli.key_verbs import VERBS
from tuckshop.cli.naming import member_id, names_of
from tuckshop.cli.output import (
    as_list,
    note,
    print_json,
    print_table,
    stamp,
)

_LISTS: Final = ("models", "endpoints")
_UNSETTABLE: Final = (
    *("name", "limits", "models", "endpoints", "max_output_tokens", "tags", "expires_at"),
)


def key_options(command: options.Command) -> options.Command:
    """The fields of a key. It narrows its member, it never widens."""
    chosen: tuple[options.Decorator, ...] = (
        click.option(
            "--expires-at",
            metavar="TIME",
            help="When it stops to open: a day, to its end in the group's time zone, or"
            " 2026-12-31T23:00:00Z.",
        ),
        click.option("--tags", multiple=True, metavar="WORD", help="To find it by. Repeat."),
        options.allow_options,
        options.limit_options(("limits", "of this key")),
        click.option("--name", help="Such as laptop."),
    )
    for option in chosen:
        command = option(command)
    return command


@click.group()
def key() -> None:
    """
    Keys: what a client sends instead of the real key. A KEY is named by its id (key_…).

    \b
    Example:
      tuckshop key create --member swa/4711 --name laptop
      tuckshop key rotate key_06f… --overlap 24h
      tuckshop key pause --group swa --tag ci --dry-run
    """


@key.command()
@click.option(
    "--member", required=True, metavar="MEMBER", help="Id (mem_…) or GROUP/EXTERNAL_ID (swa/4711)."
)
@key_options
@options.empty_option(*_LISTS)
@options.as_json
def create(member: str, as_json: bool, empty: tuple[str, ...], **fields: object) -> None:
    """
    Issue a key. It is shown only now, alone on standard output.

    \b
    Example:
      tuckshop key create --member swa/4711 --name laptop --limits '$0.05/day' > key.txt
    """
    body = options.body_of(fields, empty=empty)
    client = Client.connect()
    id_ = member_id(client, member)
    made = client.make("members", id_, "keys", body=_with_time(client, body, id_))
    hand_out(client, made, as_json, member)


# Both words are in use for it.
issue = copy(create)
issue.help = (create.help or "").replace("tuckshop key create", "tuckshop key issue")
issue.short_help = "The same as create."
key.add_command(issue, "issue")
key.add_command(handing_out.hand_out)
key.add_command(handing_out.link)


@key.command("list")
@click.option("--member", metavar="MEMBER", help="Only of this member.")
@click.option("--group", metavar="GROUP", help="Only of this group.")
@options.state_option(options.KEY_STATES)
@options.as_json
def list_(member: str | None, group: str | None, state: str | None, as_json: bool) -> None:
    """
    List keys, oldest first.

    \b
    Example:
      tuckshop key list --group swa --state paused
    """
    client = Client.connect()
    chosen = None if member is None else member_id(client, member)
    found = list(client.rows("keys", member=chosen, group=group, state=state))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note("There are no such keys.")
    else:
        names = names_of(client, (one["member"] for one in found))
        print_table(
            ["member", "name", "key", "state", "last used (UTC)", "expires (UTC)", "id"],
            [
                [
                    *(names.get(one["member"], one["member"]), one["name"]),
                    *(f"…{one['last4']}", one["state"]),
                    *(stamp(one["last_used_at"]), stamp(one["expires_at"]), one["id"]),
                ]
                for one in found
            ],
            expendable=["expires (UTC)", "last used (UTC)", "name"],
        )


@key.command()
@click.argument("key", metavar="KEY")
@options.as_json
def show(key: str, as_json: bool) -> None:
    """
    Show a KEY, with what is used, held and left of every limit.

    \b
    Example:
      tuckshop key show key_06f…
    """
    show_key(Client.connect().get("keys", key_id(key)), as_json)


@key.command()
@click.argument("key", metavar="KEY")
@key_options
@options.unset_option(*_UNSETTABLE)
@options.empty_option(*_LISTS)
@options.as_json
def edit(
    key: str, as_json: bool, unset: tuple[str, ...], empty: tuple[str, ...], **fields: object
) -> None:
    """
    Change a KEY. What is not named stays; a list is replaced as a whole.

    \b
    Example:
      tuckshop key edit key_06f… --models gpt-4o-mini --unset expires_at
    """
    body = options.change_of(fields, unset=unset, empty=empty)
    client = Client.connect()
    id_ = key_id(key)
    found, version = client.get_with_version("keys", id_)
    body = _with_time(client, body, found["member"])
    show_key(client.change("keys", id_, body=body, version=version), as_json)


for command in (find, *VERBS):
    key.add_command(command)


def _with_time(client: Client, body: Json, member: str) -> Json:
    """A day as *expires_at* means its end where the group of *member* (an id) is."""
    day = body.get("expires_at")
    if not times.is_day(day):
        return body
    group = client.get("members", member)["group"]
    return {**body, "expires_at": times.end_of_day(str(day), times.zones_of(client, [group]))}
