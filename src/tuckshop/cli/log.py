"""`tuckshop log`: the request log."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json
from tuckshop.cli.naming import member_id, names_of
from tuckshop.cli.output import (
    as_list,
    json_text,
    note,
    print_facts,
    print_json,
    print_table,
    stamp,
    usd,
    when,
)


class LogCommands(click.Group):
    """`tuckshop log REQUEST`, unless the first word is one of its commands."""

    allow_interspersed_args = True

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """That of the command, with the options before its name left to it."""
        command = self.commands.get(args[0]) if args else None
        if command is None:
            return super().make_context(info_name, args, parent, **extra)
        return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)


@click.group(cls=LogCommands, invoke_without_command=True, subcommand_metavar="")
@click.argument("request", required=False, metavar="[REQUEST]")
@click.option("--group", metavar="GROUP", help="Only of this group.")
@click.option("--member", metavar="MEMBER", help="Only of this member.")
@click.option("--key", metavar="KEY", help="Only of this key.")
@click.option("--model", help="Only of this model.")
@click.option(
    "--endpoint", help="Only of this endpoint, such as chat.completions, or group of endpoints."
)
@click.option(
    "--status", type=click.Choice(["settled", "voided", "reserved", "refused", "blocked"])
)
@click.option("--flagged/--unflagged", default=None, help="Only with a flag, or without any.")
@click.option("--tag", help="Only with this tag (x-tuckshop-tag).")
@options.rows_of_a_span
def log(
    request: str | None,
    member: str | None,
    limit: int,
    as_csv: bool,
    as_json: bool,
    **filters: str | bool | None,
) -> None:
    """
    Show the request log, newest first, or one REQUEST (req_…) of it; read what is kept of prompts and answers.

    \b
    Example:
      tuckshop log --group swa --status refused --since 2026-11-24
      tuckshop log --flagged --tag hw-3
      tuckshop log req_06f…
      tuckshop log --group swa --csv > swa.csv
      tuckshop log body req_06f… --reason 'appeal of 12 May'
      tuckshop log search 'exam question 3' --group swa --reason 'leaked exam'
    """
    client = Client.connect()
    if request is not None:
        if member is not None or any(value is not None for value in filters.values()):
            raise click.UsageError("One request is shown whole: leave the filters out.")
        _show(client.get("requests", request), as_json)
        return
    chosen = None if member is None else member_id(client, member)
    if as_csv:
        out = sys.stdout.buffer
        client.copy_csv("requests", out=out, member=chosen, **filters)
        return
    found = list(client.rows("requests", limit=limit, member=chosen, **filters))
    if as_json:
        print_json(as_list(found))
    elif not found:
        is_filtered = any(value is not None for value in filters.values())
        note("No such calls." if is_filtered else "Nobody has called yet.")
    else:
        names = names_of(client, (row["member"] for row in found))
        numbers = ("in", "out", "cost", "ms")
        print_table(
            ["at (UTC)", "member", "model", "status", *numbers, "notes", "id"],
            [_line(row, names) for row in found],
            right=frozenset(numbers),
            whole=frozenset({"at (UTC)"}),
            expendable=["id", "ms", "in", "out"],
        )


@log.command()
@click.argument("request")
@click.option("--reason", required=True, metavar="TEXT", help="Why you read it; it is audited.")
@options.as_json
def body(request: str, reason: str, as_json: bool) -> None:
    """
    Read what was asked and answered in REQUEST (req_…), where its group keeps it and lets you.

    \b
    Example:
      tuckshop log body req_06f… --reason 'appeal of 12 May'
    """
    client = Client.connect()
    found = client.post("requests", request, "body", body={"reason": reason})
    if as_json:
        print_json(found)
        return
    print_facts(
        found["id"],
        [
            ("at", when(found["at"])),
            *((name, found[name]) for name in ("group", "member", "endpoint")),
            ("http status", found["http_status"]),
            ("flagged", "yes" if found["is_flagged"] else "no"),
            ("cut off", "yes: what is longer is not kept" if found["is_cut"] else None),
        ],
    )
    for title in ("request", "reply"):
        click.echo(f"\n{title}\n" + ("none" if found[title] is None else json_text(found[title])))


@log.command()
@click.argument("text")
@click.option("--reason", required=True, metavar="TEXT", help="Why you look; it is audited.")
@click.option("--group", metavar="GROUP", help="Only of this group.")
@click.option("--member", metavar="MEMBER", help="Only of this member.")
@click.option("--since", metavar="TIME", help="From then on: a day, or 2026-11-01T00:00:00Z.")
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--cursor", help="Go on where the last search ended.")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=50, show_default=True, help="Calls at most."
)
@options.as_json
def search(
    text: str, reason: str, member: str | None, limit: int, as_json: bool, **rest: str | None
) -> None:
    """
    Find TEXT, as it stands, in what is kept of prompts and answers that you may read, newest first.

    \b
    Example:
      tuckshop log search 'exam question 3' --group swa --since 2026-11-24 --reason 'leaked exam'
    """
    client = Client.connect()
    asked = {"q": text, "reason": reason, "limit": limit}
    asked |= {name: value for name, value in rest.items() if value is not None}
    if member is not None:
        asked["member"] = member_id(client, member)
    found = client.post("bodies", "search", body=asked)
    if as_json:
        print_json(found)
        return
    rows = found["data"]
    if rows:
        names = names_of(client, (row["member"] for row in rows))
        print_table(
            ["at (UTC)", "member", "where", "text", "id"],
            [
                [
                    *(stamp(row["at"]), names.get(row["member"], row["member"])),
                    *(row["where"], row["excerpt"], row["id"]),
                ]
                for row in rows
            ],
            whole=frozenset({"at (UTC)", "id"}),
        )
    note(f"{len(rows)} of {found['looked_at']} calls that were looked at.")
    if found["unreadable"]:
        note(f"{found['unreadable']} could not be opened: their person was erased.")
    if found["next_cursor"] is not None:
        note(f"There is more to look at: --cursor {found['next_cursor']}")


def _line(row: Json, names: Mapping[str, str]) -> list[object]:
    endpoint = f"({row['endpoint']})" if row["endpoint"] else ""
    status = row["status"] if row["error"] is None else f"{row['status']} {row['error']}"
    repeats = [f"{row['repeats']} times"] if row["repeats"] > 1 else []
    return [
        *(stamp(row["at"]), names.get(row["member"], row["member"])),
        *(row["model"] or endpoint, status),
        *(row["input_tokens"], row["output_tokens"], usd(row["cost_usd"]), row["duration_ms"]),
        *(" ".join([*row["flags"], *repeats]), row["id"]),
    ]


def _show(row: Json, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    facts: list[tuple[str, object]] = []
    for name, value in row.items():
        if name == "id":
            continue
        if name == "at":
            value = when(value)
        elif name == "cost_usd":
            name, value = "cost", usd(value)
        elif isinstance(value, list):
            value = " ".join(value)
        facts.append((name.replace("_", " "), value))
    print_facts(row["id"], facts)
