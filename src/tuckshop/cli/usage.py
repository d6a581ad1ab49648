"""`tuckshop usage`: sums of what was used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.naming import member_id, names_of
from tuckshop.cli.output import clean, note, print_json, print_table, usd
from tuckshop.cli.private_file import create_private
from tuckshop.cli.times import local_time
from tuckshop.domain.wording import counted

_FILE_TYPES: Final = {".html": "text/html", ".csv": "text/csv"}
_COUNTS: Final = ("requests", "input_tokens", "cached_tokens", "output_tokens")


@click.group(invoke_without_command=True)
@click.option(
    "--by",
    multiple=True,
    metavar="DIMENSION",
    help="group, member, key, model, endpoint, tag, and one of hour, day, week, month, year."
    " Repeat, or list with commas.",
)
@click.option("--group", metavar="GROUP", help="Only of this group.")
@click.option("--member", metavar="MEMBER", help="Only of this member.")
@click.option("--key", metavar="KEY", help="Only of this key.")
@click.option("--since", metavar="TIME", help="From then on: a day, or 2026-11-01T00:00:00Z.")
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--time-zone", metavar="ZONE", help="By which days begin; without it, the server's.")
@options.as_csv
@options.as_json
@click.pass_context
def usage(
    context: click.Context,
    /,
    by: tuple[str, ...],
    member: str | None,
    as_csv: bool,
    as_json: bool,
    **filters: str | None,
) -> None:
    """
    Show what was used, summed up; or look ahead, or make a month's statement.

    \b
    Example:
      tuckshop usage --by model --by day --group swa --since 2026-11-01
    """
    if context.invoked_subcommand is not None:
        if by or member or as_csv or as_json or any(filters.values()):
            raise click.UsageError(f"Options go behind {context.invoked_subcommand}.")
        return
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
    if {"hour", "day", "week", "month", "year"} & set(dimensions):
        note(f"By the calendar of {answer['time_zone']}.")


def _line(row: Json, dimensions: list[str]) -> list[str]:
    return [
        *("" if row[name] is None else str(row[name]) for name in dimensions),
        *(f"{row[name]:,}" for name in _COUNTS),
        usd(row["cost_usd"]),
    ]


@usage.command()
@click.option("--group", metavar="GROUP", required=True, help="Of this group.")
@options.as_json
def forecast(group: str, as_json: bool) -> None:
    """
    Tell when the budgets that a group shares end, at the pace of the last seven days.

    \b
    Example:
      tuckshop usage forecast --group swa
    """
    answer = Client.connect().get("groups", group, "forecast")
    if as_json:
        print_json(answer)
        return
    if not answer["data"]:
        note("No limit on money is shared for all calls: see `tuckshop group show`.")
    for budget in answer["data"]:
        click.echo(clean(budget["sentence"]))


@usage.command()
@click.option("--group", metavar="GROUP", required=True, help="Of this group.")
@click.option(
    "--month", metavar="YYYY-MM", help="By the group's calendar; without it, the one that runs."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page to print (.html) or a table (.csv): a new file that only you can read.",
)
@options.as_csv
@options.as_json
def statement(group: str, month: str | None, out: Path | None, as_csv: bool, as_json: bool) -> None:
    """
    Sum up what each member of a group used in a month.

    \b
    Example:
      tuckshop usage statement --group swa --month 2026-11
      tuckshop usage statement --group swa --month 2026-11 --out swa-2026-11.html
    """
    path = ("groups", group, "statement")
    if out is not None:
        media_type = _FILE_TYPES.get(out.suffix.lower())
        if media_type is None or as_csv or as_json:
            raise click.UsageError("--out takes a FILE.html or a FILE.csv, and no other form.")
        _write(Client.connect(), media_type, path, out, month)
        return
    client = Client.connect()
    if as_csv:
        client.copy_csv(*path, out=sys.stdout.buffer, month=month)
        return
    answer = client.get(*path, month=month)
    if as_json:
        print_json(answer)
        return
    counts = ["requests", "input", "cached", "output", "cost"]
    total = {"external_id": "total", "name": "", **answer["total"]}
    print_table(
        ["id", "name", *counts],
        [
            _line(row, ["external_id", "name"])
            for row in [
                *(
                    {**line, "external_id": line["external_id"] or line["member"]}
                    | {"name": line["name"] or ""}
                    for line in answer["data"]
                ),
                total,
            ]
        ],
        right=frozenset(counts),
    )
    _tell_what_else(answer)
    if answer["total"]["guessed_requests"]:
        guessed = answer["total"]
        calls = counted(guessed["guessed_requests"], "call")
        note(
            f"{calls} charged without a usage to rely on: {usd(guessed['guessed_usd'])} of the sum."
        )
    note(f"{answer['month']} by the calendar of {answer['time_zone']}.")
    if not answer["is_over"]:
        note("Not final: the month, or a call of it, still runs.")


def _tell_what_else(answer: Json) -> None:
    """Grants of the month, those to many at once together, and corrections; people by name, on the group's clocks."""
    zone = answer["time_zone"]
    grants: dict[tuple[object, ...], list[Json]] = {}
    for one in answer["grants"]:
        times = (local_time(one["at"], zone), local_time(one["until"], zone))
        grants.setdefault((*times, usd(one["amount_usd"]), one["reason"]), []).append(one)
    if grants:
        click.echo()
        print_table(
            ["granted", "to", "amount each", "until", "reason"],
            [
                [at, _whom(some), amount, until, reason]
                for (at, until, amount, reason), some in grants.items()
            ],
            right=frozenset({"amount each"}),
        )
    if answer["corrections"]:
        click.echo()
        print_table(
            ["corrected", "call of", "added", "reason", "id"],
            [
                [
                    *(local_time(one["at"], zone), _person(one), usd(one["cost_usd"])),
                    *(one["reason"], one["request"]),
                ]
                for one in answer["corrections"]
            ],
            right=frozenset({"added"}),
            expendable=["id"],
        )


def _whom(grants: list[Json]) -> str:
    return counted(len(grants), "member") if len(grants) > 1 else _person(grants[0])


def _person(one: Json) -> str:
    id_ = one["external_id"] or one["member"] or "the group"
    return f"{id_} {one['name']}" if one["name"] else str(id_)


def _write(
    client: Client, media_type: str, path: tuple[str, ...], out: Path, month: str | None
) -> None:
    file = create_private(out, why="a statement is made once, or under another name")
    try:
        with file, out.open("wb") as bytes_of_it:
            client.copy(media_type, *path, out=bytes_of_it, month=month)
    except RefusedError:
        out.unlink()
        raise
    note(f"Written to {out}, which only you can read.")
