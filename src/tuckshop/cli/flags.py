"""`tuckshop flags`: contents that a check of calls, or a rule of the group, took note of."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from typing import Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json
from tuckshop.cli.naming import member_id, names_of
from tuckshop.cli.output import (
    as_list,
    clean,
    note,
    print_facts,
    print_json,
    print_table,
    stamp,
    when,
)

_WIDTH: Final = 76
_CALLS_SHOWN: Final = 5


@click.group(invoke_without_command=True)
@click.option("--group", metavar="GROUP", help="Only of this group.")
@click.option("--member", metavar="MEMBER", help="Only of this member: swa/4711, or mem_….")
@click.option("--state", type=click.Choice(["open", "upheld", "dismissed"]))
@click.option(
    "--source",
    type=click.Choice(["moderation", "output", "rule"]),
    help="Only what the provider said of a call, of an answer, or what a rule of the group found.",
)
@options.rows_of_a_span
@click.pass_context
def flags(
    context: click.Context,
    /,
    member: str | None,
    limit: int,
    as_csv: bool,
    as_json: bool,
    **filters: str | None,
) -> None:
    """
    Show contents that were flagged, newest first: whose, why, how often. Never the content itself.

    \b
    Example:
      tuckshop flags --group swa --state open
      tuckshop flags --member swa/4711 --since 2026-11-20 --csv > flags.csv
      tuckshop flags show flg_06f…
    """
    if context.invoked_subcommand is not None:
        return
    client = Client.connect()
    chosen = None if member is None else member_id(client, member)
    if as_csv:
        out = sys.stdout.buffer
        client.copy_csv("moderation", "flags", out=out, member=chosen, **filters)
        return
    found = list(client.rows("moderation", "flags", limit=limit, member=chosen, **filters))
    if as_json:
        print_json(as_list(found))
    elif not found:
        is_filtered = chosen is not None or any(filters.values())
        note("No such flags." if is_filtered else "Nothing was flagged.")
    else:
        names = names_of(client, (row["member"] for row in found))
        print_table(
            ["id", "last (UTC)", "member", "why", "times", "did", "state"],
            [_line(row, names) for row in found],
            right=frozenset({"times"}),
            whole=frozenset({"id"}),
            expendable=["did", "times"],
        )


@flags.command()
@click.argument("flag")
@options.as_json
def show(flag: str, as_json: bool) -> None:
    """
    Show a FLAG, and the calls that it was found in.

    \b
    Example:
      tuckshop flags show flg_06f…
    """
    client = Client.connect()
    _show(client, client.get("moderation", "flags", flag), as_json)


@flags.command()
@click.argument("flag")
@click.option(
    "--state",
    type=click.Choice(["upheld", "dismissed"]),
    required=True,
    help="Does it stand? What is dismissed counts for nothing any more, also where it comes again.",
)
@click.option("--reason", required=True, help="Why, for whoever asks later.")
@click.option("--resume", is_flag=True, help="Let the member or the key go on that it paused.")
@options.as_json
def resolve(flag: str, state: str, reason: str, resume: bool, as_json: bool) -> None:
    """
    Say whether a FLAG stands.

    \b
    Example:
      tuckshop flags resolve flg_06f… --state dismissed --reason 'an exercise of week 3' --resume
    """
    client = Client.connect()
    body: Json = {"state": state, "reason": reason, "resume": resume}
    _show(client, client.post("moderation", "flags", flag, "resolve", body=body), as_json)


@flags.command()
@click.argument("flag")
@click.option("--reason", required=True, help="What the member says, at most 2,000 characters.")
@options.as_json
def appeal(flag: str, reason: str, as_json: bool) -> None:
    """
    Write down what a member says to a FLAG. It is kept closed with the member's own key.

    \b
    Example:
      tuckshop flags appeal flg_06f… --reason 'It was a quotation from the lecture.'
    """
    client = Client.connect()
    body: Json = {"reason": reason}
    _show(client, client.post("moderation", "flags", flag, "appeal", body=body), as_json)


@flags.command()
@click.argument("member")
@options.as_json
def link(member: str, as_json: bool) -> None:
    """
    Make a link for a MEMBER, by which they see what was flagged of theirs and say something to it, once.

    It is shown now and never again, opens for 14 days, and voids earlier ones. It works while the member is paused.

    \b
    Example:
      tuckshop flags link swa/4711
    """
    client = Client.connect()
    made = client.post("members", member_id(client, member), "appeal-links")
    if as_json:
        print_json(made)
        return
    click.echo(made["url"])
    note(f"It takes one answer, until {when(made['expires_at'])}. Send it to that person alone.")


def _line(row: Json, names: Mapping[str, str]) -> list[object]:
    return [
        *(row["id"], stamp(row["last_at"]), names.get(row["member"], row["member"])),
        *(", ".join(row["reasons"]), row["repeats"], row["action"], row["state"]),
    ]


def _show(client: Client, row: Json, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    names = names_of(client, [row["member"]])
    print_facts(
        row["id"],
        [
            ("state", row["state"]),
            ("member", f"{names.get(row['member'], '')}  {row['member']}".strip()),
            ("key", row["key"]),
            ("why", ", ".join(_why(row))),
            ("found by", row["source"]),
            ("the member's own", "yes" if row["own"] else "no"),
            ("the call was", row["action"]),
            ("first", when(row["at"])),
            ("last", when(row["last_at"])),
            ("times", row["repeats"]),
            ("paused", row["paused"]),
            ("resolved by", row["resolved_by"]),
            ("resolved at", when(row["resolved_at"])),
            ("reason", row["reason"]),
            ("appealed at", when(row["appealed_at"])),
            ("calls", _calls(row["requests"])),
        ],
    )
    for one in row["appeals"]:
        click.secho(clean(f"Appeal of {when(one['at'])}, by {one['by']}"), bold=True)
        for paragraph in (one["reason"] or "(erased)").split("\n"):
            click.echo(textwrap.indent(textwrap.fill(clean(paragraph), _WIDTH), "  "))
    if row["state"] == "open":
        note(f"Say whether it stands: tuckshop flags resolve {row['id']} --state upheld --reason …")


def _calls(ids: list[str]) -> str:
    more = f" and {len(ids) - _CALLS_SHOWN} more: --json" if len(ids) > _CALLS_SHOWN else ""
    return " ".join(ids[:_CALLS_SHOWN]) + more


def _why(row: Json) -> list[str]:
    """Categories with their scores, where there are any."""
    scores = row["scores"]
    return [f"{name} {scores[name]:.2f}" if name in scores else name for name in row["reasons"]]
