"""`tuckshop verify`: recompute every counter and sum from the rows."""

from __future__ import annotations

from typing import Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import RefusedError
from tuckshop.cli.ledger_file import ledger_file
from tuckshop.cli.output import clean, note, print_json
from tuckshop.settings import load_for_commands

SHOWN_MAX: Final = 50


@click.command()
@click.option(
    "--since-closing",
    is_flag=True,
    help="Trust the last daily closing and go on from there: quicker.",
)
@options.as_json
def verify(since_closing: bool, as_json: bool) -> None:
    """
    Recompute every counter and sum from the rows; exit status 1, and where, if one differs.

    Reads the data folder (TUCKSHOP_DATA) itself, also while the server runs, and changes nothing.

    \b
    Example:
      tuckshop verify
      TUCKSHOP_DATA=/srv/tuckshop tuckshop verify --json
    """
    # Only here: no other command needs the ledger.
    from tuckshop.ledger.verify import verify_folder

    report = verify_folder(ledger_file(load_for_commands().settings), full=not since_closing)
    differences = report.differences
    if as_json:
        print_json(
            {
                "agrees": not differences,
                "requests": report.requests,
                "counters": report.counters,
                "usage_buckets": report.buckets,
                "differences": [
                    {"where": one.where, "expected": str(one.expected), "found": str(one.found)}
                    for one in differences
                ],
            }
        )
    if differences:
        lines = [clean(one) for one in differences[:SHOWN_MAX]]
        if len(differences) > SHOWN_MAX:
            lines.append(f"and {len(differences) - SHOWN_MAX} more")
        raise RefusedError("the ledger contradicts itself:\n" + "\n".join(lines))
    if not as_json:
        note(
            f"All agrees: {report.counters:,} counters and {report.buckets:,} sums with {report.requests:,} requests."
        )
