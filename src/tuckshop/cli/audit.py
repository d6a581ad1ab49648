"""`tuckshop audit`: what staff did, and whether the trail of it is whole."""

from __future__ import annotations

import sys

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import as_list, json_text, note, print_json, print_table, stamp


@click.group(invoke_without_command=True)
@click.option("--actor", help="Only what this one did, such as operator.")
@click.option("--action", help="Only this, such as key.revoke, or all of a kind: key.")
@click.option("--object", metavar="ID", help="Only what was done to this group, member or key.")
@click.option(
    "--reads",
    is_flag=True,
    default=None,
    help="Only where what people wrote, or who they are, was opened, or somebody tried to.",
)
@options.rows_of_a_span
@click.pass_context
def audit(
    context: click.Context, /, limit: int, as_csv: bool, as_json: bool, **filters: object
) -> None:
    """
    Show what staff did, newest first: who, when, what, and what it was before.

    \b
    Example:
      tuckshop audit --action key --since 2026-11-01
      tuckshop audit --reads --since 2026-11-20 --until 2026-11-24
    """
    if context.invoked_subcommand is not None:
        return
    client = Client.connect()
    if as_csv:
        client.copy_csv("audit", out=sys.stdout.buffer, **filters)
        return
    found = list(client.rows("audit", limit=limit, **filters))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note("There is nothing of that kind.")
    else:
        print_table(
            ["at (UTC)", "who", "did", "to", "before", "after"],
            [_line(row) for row in found],
            whole=frozenset({"at (UTC)"}),
            expendable=["before", "after"],
        )


@audit.command()
@options.as_json
def verify(as_json: bool) -> None:
    """
    Tell whether the trail is whole: each row carries the hash of the one before it.

    \b
    Example:
      tuckshop audit verify
    """
    check = Client.connect().post("audit", "verify")
    if as_json:
        print_json(check)
    if check["first_broken"] is not None:
        raise RefusedError(
            f"Row {check['first_broken']} does not follow from the one before it: it, or what is before it, was"
            " changed or taken out after it was written."
        )
    if not as_json:
        click.echo(f"The trail is whole: {check['rows']:,} rows.")


def _line(row: Json) -> list[object]:
    return [
        *(stamp(row["at"]), row["actor"], row["action"], row["object"]),
        *(_short(row["before"]), _short(row["after"])),
    ]


def _short(content: Json | None) -> str:
    """What changed, on one line."""
    if not content:
        return ""
    return " ".join(json_text(content).split())
