"""`tuckshop token`: tokens of staff, each with a role in some groups."""

from __future__ import annotations

from typing import Final

import click

from tuckshop.cli import options, times
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import (
    as_list,
    clean,
    note,
    print_facts,
    print_json,
    print_table,
    when,
)

ROLES: Final = ("owner", "assistant", "viewer")
TOKEN_STATES: Final = ("active", "expired", "revoked", "all")


@click.group()
def token() -> None:
    """
    Tokens of staff: what a colleague or a teaching assistant uses in place of the admin token.

    A viewer reads; an assistant also enrols members and hands out keys; an owner also sets the policy below what the
    group was given. None sees other groups, upstreams, prices or settings.

    \b
    Example:
      tuckshop token create 'Grace, TA' --role assistant --group swa --expires 2027-03-31
      tuckshop token list
      tuckshop token revoke tok_06f…
    """


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What it may do.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    required=True,
    metavar="GROUP",
    help="A group in which it may, by name or id. Repeat.",
)
@click.option(
    "--expires",
    metavar="TIME",
    help="When it ends: a day, to its end in the group's time zone, or 2027-03-31T22:00:00Z. Never, unless said.",
)
@options.as_json
def create(
    name: str, role: str, groups: tuple[str, ...], expires: str | None, as_json: bool
) -> None:
    """
    Make a token for NAME, which says whose it is. The token is shown once.

    \b
    Example:
      tuckshop token create 'Grace, TA' --role assistant --group swa --expires 2027-03-31
    """
    body: Json = {"name": name, "role": role, "groups": list(groups)}
    client = Client.connect()
    if expires is not None:
        is_day = times.is_day(expires)
        body["expires_at"] = (
            times.end_of_day(expires, times.zones_of(client, groups)) if is_day else expires
        )
    made = client.make("tokens", body=body)
    if as_json:
        print_json(made)
        return
    _print(made, client)
    click.echo(f"  {'token':<7}  {clean(made['token'])}")
    note(
        "The token is shown only now: tuckshop keeps no copy. They set it as TUCKSHOP_ADMIN_TOKEN."
    )


@token.command("list")
@click.option(
    "--state", type=click.Choice(TOKEN_STATES), help="Only these; without it, all but revoked ones."
)
@options.as_json
def list_(state: str | None, as_json: bool) -> None:
    """
    List tokens of staff: whose, their role, their groups, and who made them.

    \b
    Example:
      tuckshop token list --state all
    """
    client = Client.connect()
    found = list(client.rows("tokens", state=state))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note("There is no such token. Make one: tuckshop token create NAME --role viewer --group …")
    else:
        groups = list(client.rows("groups", state="all"))
        names = {str(one["id"]): str(one["name"]) for one in groups}
        zone = _zone(groups, found)
        print_table(
            ["name", "role", "groups", "state", f"expires ({zone})", "token", "id", "made by"],
            [
                [
                    *(one["name"], one["role"]),
                    ", ".join(names.get(group, group) for group in one["groups"]),
                    *(one["state"], times.local_time(one["expires_at"], zone)),
                    *(f"…{one['last4']}", one["id"], one["created_by"]),
                ]
                for one in found
            ],
            whole=frozenset({"id"}),
            expendable=["made by", "id", "token"],
        )


@token.command()
@click.argument("name")
@options.as_json
def show(name: str, as_json: bool) -> None:
    """
    Show the token NAME: its id, or the name of whose it is.

    \b
    Example:
      tuckshop token show 'Grace, TA'
    """
    client = Client.connect()
    found = client.get("tokens", _token_id(client, name))
    if as_json:
        print_json(found)
    else:
        _print(found, client)


@token.command()
@click.argument("name")
@options.as_json
def revoke(name: str, as_json: bool) -> None:
    """
    Close the token NAME (its id, or the name of whose it is) for good, from the next call on.

    Tokens that it made itself stay open: revoke them too, if you do not know them.

    \b
    Example:
      tuckshop token revoke 'Grace, TA'
    """
    client = Client.connect()
    gone = client.delete("tokens", _token_id(client, name))
    if as_json:
        print_json(gone)
        return
    note(f"{gone['name']} ({gone['id']}) is revoked.")
    made = [one for one in client.rows("tokens") if one["created_by"] == f"token:{gone['id']}"]
    for one in made:
        note(f"It made {one['name']} ({one['id']}, {one['role']}), which is still open.")


def _token_id(client: Client, name: str) -> str:
    """
    The id of the token that *name* names.

    Raises:
        RefusedError: None has this name, or several have.
    """
    if name.startswith("tok_"):
        return name
    found = [one for one in client.rows("tokens", state="all") if one["name"] == name]
    open_ones = [one for one in found if one["state"] != "revoked"] or found
    if len(open_ones) != 1:
        ids = ", ".join(str(one["id"]) for one in open_ones)
        raise RefusedError(
            f"Several tokens are called {name!r}: say which of {ids}."
            if open_ones
            else f"There is no token {name!r}."
        )
    return str(open_ones[0]["id"])


def _zone(groups: list[Json], tokens: list[Json]) -> str:
    """The time zone of all groups that *tokens* reach, or that of the server's own clock."""
    reached = {group for one in tokens for group in one["groups"]}
    zones = {str(one["time_zone"]) for one in groups if one["id"] in reached}
    return zones.pop() if len(zones) == 1 else "UTC"


def _print(one: Json, client: Client) -> None:
    groups = list(client.rows("groups", state="all"))
    names = {str(group["id"]): str(group["name"]) for group in groups}
    zone = _zone(groups, [one])
    print_facts(
        one["name"],
        [
            ("id", one["id"]),
            ("role", one["role"]),
            ("groups", ", ".join(names.get(group, group) for group in one["groups"])),
            ("last 4", one["last4"]),
            ("state", one["state"]),
            ("expires", times.when_in(one["expires_at"], zone) or "never"),
            ("made", f"{when(one['created_at'])} by {one['created_by']}"),
        ],
    )
