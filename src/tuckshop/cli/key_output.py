"""How keys are named to the commands, shown and handed out."""

from __future__ import annotations

import sys

import click

from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import allowed, listing, note, print_facts, print_json, print_limits, when


def key_id(name: str) -> str:
    """
    *name*, if it is the id of a key.

    Raises:
        RefusedError: It is a secret.
        click.UsageError: It is something else.
    """
    if name.startswith("sk-"):
        # A secret on the command line stands in the shell's history and in every list of processes.
        raise RefusedError(
            "Name a key by its id (key_…), see `tuckshop key list`, or `tuckshop key find -`, which reads a secret from"
            " standard input. A secret on the command line may have been seen by others: think of rotating it."
        )
    if not name.startswith("key_"):
        raise click.UsageError(f"{name!r} is no key: expected key_…")
    return name


def hand_out(client: Client, made: Json, as_json: bool, member: str) -> None:
    """Print a key that was made just now: the secret alone on standard output."""
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


def hint_of(one: Json) -> str:
    """How a key looks, as far as it may be shown."""
    # One that was taken over may still have the look it had there.
    return f"…{one['last4']}" if one["taken_from"] else f"sk-tuck-…{one['last4']}"


def show_key(one: Json, as_json: bool) -> None:
    """Print a key and its limits."""
    if as_json:
        print_json(one)
        return
    print_facts(
        f"{hint_of(one)}  {one['name'] or ''}".rstrip(),
        [
            ("id", one["id"]),
            ("member", one["member"]),
            ("state", one["state"]),
            ("taken over from", one["taken_from"]),
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
