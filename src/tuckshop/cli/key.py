"""`tuckshop key`: the virtual keys of members."""

from __future__ import annotations

import sys
from typing import Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.naming import member_id, names_of
from tuckshop.cli.output import (
    allowed,
    as_list,
    listing,
    note,
    print_facts,
    print_json,
    print_limits,
    print_table,
    stamp,
    when,
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
            help="When it stops to open: 2026-12-31T23:00:00Z, or a day.",
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
    body = _with_time(options.body_of(fields, empty=empty))
    client = Client.connect()
    made = client.make("members", member_id(client, member), "keys", body=body)
    _hand_out(client, made, as_json, member)


# Both words are in use for it.
key.add_command(create, "issue")


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
    _show(Client.connect().get("keys", _key_id(key)), as_json)


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
    body = _with_time(options.change_of(fields, unset=unset, empty=empty))
    _show(Client.connect().patch("keys", _key_id(key), body=body), as_json)


@key.command()
@click.argument("key", metavar="KEY")
@options.as_json
def pause(key: str, as_json: bool) -> None:
    """
    Refuse calls with a KEY, and cut off its running streams.

    \b
    Example:
      tuckshop key pause key_06f…
    """
    _show(Client.connect().post("keys", _key_id(key), "pause"), as_json)


@key.command()
@click.argument("key", metavar="KEY")
@options.as_json
def resume(key: str, as_json: bool) -> None:
    """
    Let a KEY that is paused call again.

    \b
    Example:
      tuckshop key resume key_06f…
    """
    _show(Client.connect().post("keys", _key_id(key), "resume"), as_json)


@key.command()
@click.argument("key", metavar="KEY")
@click.option("--total", is_flag=True, help="Limits without a window (total) too.")
@options.as_json
def reset(key: str, total: bool, as_json: bool) -> None:
    """
    Start the running windows of a KEY's own limits afresh, at what open calls hold.

    \b
    Example:
      tuckshop key reset key_06f…
    """
    query = {"total": True} if total else {}
    _show(Client.connect().post("keys", _key_id(key), "reset", **query), as_json)


@key.command()
@click.argument("key", metavar="KEY")
@click.option("--overlap", metavar="TIME", help="How long the old secret still opens, such as 24h.")
@options.as_json
def rotate(key: str, overlap: str | None, as_json: bool) -> None:
    """
    Give a KEY a new secret, shown only now. Limits, state and expiry carry over.

    \b
    Example:
      tuckshop key rotate key_06f… --overlap 24h
    """
    body = {} if overlap is None else {"overlap": overlap}
    client = Client.connect()
    made = client.post("keys", _key_id(key), "rotate", body=body)
    _hand_out(client, made, as_json, made["member"])


@key.command()
@click.argument("key", metavar="KEY")
@options.as_json
def revoke(key: str, as_json: bool) -> None:
    """
    End a KEY for good, and cut off its running streams.

    \b
    Example:
      tuckshop key revoke key_06f…
    """
    _show(Client.connect().post("keys", _key_id(key), "revoke"), as_json)


@key.command()
@click.argument("key", metavar="KEY")
@options.as_json
def archive(key: str, as_json: bool) -> None:
    """
    Hide a KEY for good and keep its records.

    \b
    Example:
      tuckshop key archive key_06f…
    """
    _show(Client.connect().post("keys", _key_id(key), "archive"), as_json)


def _key_id(name: str) -> str:
    if name.startswith("sk-"):
        # A secret on the command line stands in the shell's history and in every list of processes.
        raise RefusedError(
            "Name a key by its id (key_…), see `tuckshop key list`. A secret on the command line may have been"
            " seen by others: think of rotating it."
        )
    if not name.startswith("key_"):
        raise click.UsageError(f"{name!r} is no key: expected key_…")
    return name


def _with_time(body: Json) -> Json:
    """A day as *expires_at* means its beginning in UTC."""
    at = body.get("expires_at")
    if isinstance(at, str) and len(at) == len("2026-12-31"):
        return {**body, "expires_at": f"{at}T00:00:00Z"}
    return body


def _hand_out(client: Client, made: Json, as_json: bool, member: str) -> None:
    if as_json:
        print_json(made)
        return
    click.echo(made["key"])
    note(f"{made['id']} of {member}. Shown only now: tuckshop keeps no copy.")
    if not sys.stdout.isatty():
        return
    address = "this server's address with /v1"
    if client.calls_url is not None:
        address = f"{client.calls_url.rstrip('/')}/v1"
    note(f"Its holder sets OPENAI_API_KEY to it, and OPENAI_BASE_URL to {address}.")


def _show(one: Json, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    print_facts(
        f"sk-tuck-…{one['last4']}  {one['name'] or ''}".rstrip(),
        [
            ("id", one["id"]),
            ("member", one["member"]),
            ("state", one["state"]),
            ("expires", when(one["expires_at"]) or "never"),
            ("last used", when(one["last_used_at"]) or "never"),
            ("tags", ", ".join(one["tags"])),
            ("own limits", listing(one["limits"], none="", empty="none")),
            ("models", allowed(one["models"])),
            ("endpoints", allowed(one["endpoints"])),
            ("longest answer", one["max_output_tokens"]),
        ],
    )
    print_limits(one["in_force"])
