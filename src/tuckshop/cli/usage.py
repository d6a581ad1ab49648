"""`tuckshop usage`: sums of what was used."""

from __future__ import annotations

import sys
from typing import Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json
from tuckshop.cli.naming import member_id, names_of
from tuckshop.cli.output import note, print_json, print_table, usd

_COUNTS: Final = ("requests", "input_tokens", "cached_tokens", "output_tokens")


@click.command()
@click.option(
    "--by",
    multiple=True,
    metavar="DIMENSION",
    help="group, member, key, model, endpoint, and one of day, week, month, year. Repeat, or list with commas.",
)
@click.option("--group", metavar="GROUP", help="Only of this group.")
@click.option("--member", metavar="MEMBER", help="Only of this member.")
@click.option("--key", metavar="KEY", help="Only of this key.")
@click.option("--since", metavar="TIME", help="From then on: a day, or 2026-11-01T00:00:00Z.")
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--time-zone", metavar="ZONE", help="By which days begin; without it, the server's.")
@options.as_csv
@options.as_json
def usage(
    by: tuple[str, ...], member: str | None, as_csv: bool, as_json: bool, **filters: str | None
) -> None:
    """
    Show what was used, summed up.

    \b
    Example:
      tuckshop usage --by model --by day --group swa --since 2026-11-01
    """
    client = Client.connect()
    asked = {
        "by": ",".join(by) or None,
        "member": None if member is None else member_id(client, member),
        **filters,
    }
    if as_csv:
        client.copy_csv("usage", out=sys.stdout.buffer, **asked)
        return
    answer = client.get("usage", **asked)
    if as_json:
        print_json(answer)
        return
    rows: list[Json] = answer["data"]
    if not rows:
        note("Nothing was used.")
        return
    dimensions = [name for name in rows[0] if name not in (*_COUNTS, "cost_usd")]
    if {"group", "member"} & set(dimensions):
        names = names_of(client, (row["member"] for row in rows if "member" in row))
        named = [name for name in ("group", "member") if name in dimensions]
        rows = [row | {name: names.get(row[name], row[name]) for name in named} for row in rows]
    lines = [_line(row, dimensions) for row in rows]
    if len(rows) > 1:
        total: Json = {name: sum(row[name] for row in rows) for name in (*_COUNTS, "cost_usd")}
        lines.append(
            _line({**dict.fromkeys(dimensions, ""), dimensions[0]: "total", **total}, dimensions)
        )
    counts = ["requests", "input", "cached", "output", "cost"]
    print_table([*dimensions, *counts], lines, right=frozenset(counts))
    if {"day", "week", "month", "year"} & set(dimensions):
        note(f"By the calendar of {answer['time_zone']}.")


def _line(row: Json, dimensions: list[str]) -> list[str]:
    return [
        *(str(row[name]) for name in dimensions),
        *(f"{row[name]:,}" for name in _COUNTS),
        usd(row["cost_usd"]),
    ]
