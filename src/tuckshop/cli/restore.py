"""`tuckshop restore`: a backup in the ledger's place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuckshop.cli import options
from tuckshop.cli.client import Json
from tuckshop.cli.ledger_file import ledger_file
from tuckshop.cli.output import note, print_facts, print_json, usd, when
from tuckshop.settings import load_for_commands

if TYPE_CHECKING:
    from tuckshop.ledger.restore import Gap, Restored


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False, metavar="[FILE]")
@click.option(
    "--acknowledge-gap",
    is_flag=True,
    help="Let a server start though the ledger knows nothing of the time since the backup.",
)
@options.as_json
def restore(file: Path | None, acknowledge_gap: bool, as_json: bool) -> None:
    """
    Put the backup FILE in the place of the ledger of the data folder, while no server runs over it.

    The ledger that was there is kept beside it. What was spent since the backup is not in it, so a server starts on it
    only after --acknowledge-gap, with FILE or later without; the gap is listed, to be compared with the provider's
    usage report.

    \b
    Example:
      tuckshop restore /srv/backups/tuckshop-2026-11-24.db
      tuckshop restore --acknowledge-gap
    """
    # Only here: no other command needs the ledger.
    from tuckshop.ledger import restore as restoring
    from tuckshop.system_clock import SystemClock

    if file is None and not acknowledge_gap:
        raise click.UsageError("Name the backup, or --acknowledge-gap after it was restored.")
    settings = load_for_commands().settings
    ledger = ledger_file(settings)
    clock = SystemClock()
    restored = None if file is None else restoring.restore(file, ledger, clock)
    gap = restored.gap if restored is not None else None
    if acknowledge_gap or gap is None:
        gap = restoring.acknowledge_gap(ledger, clock)
    answer = _answer(ledger, restored, gap, acknowledged=acknowledge_gap)
    if as_json:
        print_json(answer)
    else:
        _print(answer)
    if not (settings.data / "secret-key").exists():
        note(
            f"There is no secret-key in {settings.data}: put the one of the old server there before the start, or"
            " members get new pseudonyms at the provider."
        )
    for name in answer["upstreams"]:
        note(
            f"A backup holds no credential: once the server runs, tuckshop upstream edit {name} --credential"
        )
    if not acknowledge_gap:
        note("To let a server start on it: tuckshop restore --acknowledge-gap")


def _answer(ledger: Path, restored: Restored | None, gap: Gap, *, acknowledged: bool) -> Json:
    from tuckshop.domain.money import usd as exact_usd
    from tuckshop.services.fields import rfc3339

    aside = restored.kept_aside if restored is not None else None
    known = restored.known_since if restored is not None else None
    return {
        "ledger": str(ledger),
        "kept_aside": None if aside is None else str(aside),
        "gap": {
            "since": rfc3339(gap.since_us),
            "until": rfc3339(gap.until_us),
            "open_calls": gap.open_calls,
        },
        "known_since": None
        if known is None
        else {"requests": known.requests, "cost_usd": exact_usd(known.cost_nano)},
        "acknowledged": acknowledged,
        "upstreams": [] if restored is None else restored.upstreams,
    }


def _print(answer: Json) -> None:
    gap, known = answer["gap"], answer["known_since"]
    facts: list[tuple[str, object]] = [
        ("ledger", answer["ledger"]),
        ("kept aside", answer["kept_aside"]),
        ("gap", f"{when(gap['since'])} to {when(gap['until'])}: nothing is known of this time"),
        ("were running", f"{gap['open_calls']:,} calls, charged their bounds at the start"),
    ]
    if known is not None:
        facts.append(
            (
                "the old ledger",
                f"knew {known['requests']:,} calls of the gap, {usd(known['cost_usd'])}",
            )
        )
    facts.append(
        (
            "next",
            "compare the gap with the provider's usage report; limits stand as they did before it",
        )
    )
    print_facts("Acknowledged" if answer["acknowledged"] else "Restored", facts)
