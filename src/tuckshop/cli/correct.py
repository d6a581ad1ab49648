"""`tuckshop correct`: corrections in bulk."""

from __future__ import annotations

import sys
from decimal import Decimal

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.naming import names_of
from tuckshop.cli.output import note, print_json, print_table, stamp, usd

SHOWN_MAX = 20


@click.command()
@click.option(
    "--unconfirmed",
    is_flag=True,
    required=True,
    help="Calls that were charged their bound, because nobody knew what they used.",
)
@click.option(
    "--since",
    metavar="TIME",
    required=True,
    help="Admitted from then on: a day, or 2026-11-01T00:00:00Z.",
)
@click.option("--until", metavar="TIME", help="Admitted before then.")
@click.option("--group", metavar="GROUP", help="Only of this group.")
@click.option(
    "--to",
    "to_usd",
    type=options.Dollars(),
    metavar="USD",
    required=True,
    help="What the provider billed for all of them together, by its usage report; 0: nothing.",
)
@click.option("--reason", required=True, help="Why, for whoever asks later.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be posted.")
@click.option("--yes", is_flag=True, help="Post without asking.")
@options.as_json
def correct(
    unconfirmed: bool,
    to_usd: Decimal,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **fields: str | None,
) -> None:
    """
    Set calls that were charged their bound to what the provider billed for them.

    A dry run comes first: the calls and what each is set to, the amount being spread in proportion. Then it asks. Calls
    that were corrected before are left alone.

    \b
    Example:
      tuckshop correct --unconfirmed --since 2026-11-24 --group swa --to 0 --reason 'crash, nothing billed'
    """
    if not unconfirmed:
        raise click.UsageError("Say which calls: --unconfirmed.")
    client = Client.connect()
    body: Json = {"unconfirmed": True, "to_usd": to_usd}
    body |= {name: value for name, value in fields.items() if value is not None}
    told = client.post("corrections", body=body)
    if not as_json:
        _print(client, told)
    if dry_run or not told["calls"]:
        if as_json:
            print_json(told)
        return
    if not yes and not _is_wanted(told):
        raise RefusedError("Nothing was posted.")
    posted = client.post("corrections", body=body | {"dry_run": False, "calls": told["calls"]})
    if as_json:
        print_json(posted)
    else:
        note(f"Posted {posted['calls']:,} corrections.")


def _is_wanted(told: Json) -> bool:
    if not sys.stdin.isatty():
        raise RefusedError(
            "Nothing was posted: nobody is there to be asked. Say --yes to post, or --dry-run."
        )
    return click.confirm(f"Post {told['calls']:,} corrections?", err=True)


def _print(client: Client, told: Json) -> None:
    calls: list[Json] = told["data"]
    if not calls:
        note("There are no such calls, or all were corrected before.")
        return
    shown = calls[:SHOWN_MAX]
    names = names_of(client, (call["member"] for call in shown))
    rows = [
        [
            stamp(call["at"]),
            names.get(call["member"], call["member"]),
            usd(call["charged_usd"]),
            usd(call["to_usd"]),
            call["request"],
        ]
        for call in shown
    ]
    print_table(
        ["at (UTC)", "member", "charged", "to", "id"],
        rows,
        right=frozenset({"charged", "to"}),
        expendable=["id"],
    )
    if told["calls"] > len(shown):
        note(f"and {told['calls'] - len(shown):,} more")
    note(f"{told['calls']:,} calls, charged {usd(told['charged_usd'])}, to {usd(told['to_usd'])}.")
