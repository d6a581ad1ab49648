"""`tuckshop restore`: a backup in the ledger's place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuckshop.cli import options
from tuckshop.cli.client import Json
from tuckshop.cli.ledger_file import ledger_file
from tuckshop.cli.output import note, print_facts, print_json, usd, when
from tuckshop.cli.passphrase import passphrase_file, passphrase_from
from tuckshop.settings import load_for_commands

if TYPE_CHECKING:
    from tuckshop.backups.restoring import Whole
    from tuckshop.ledger.restore import Gap
    from tuckshop.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False, metavar="[FILE]")
@click.option(
    "--acknowledge-gap",
    is_flag=True,
    help="Let a server start though the ledger knows nothing of the time since the backup.",
)
@click.option(
    "--despite-differences",
    is_flag=True,
    help="Take FILE though its counters are not the sums of its rows.",
)
@click.option(
    "--erasures",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A newer list of who was erased (FILE.erasures of a newer backup). Repeat.",
)
@passphrase_file
@options.as_json
def restore(
    file: Path | None,
    acknowledge_gap: bool,
    despite_differences: bool,
    erasures: tuple[Path, ...],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """
    Put the backup FILE in the place of the ledger of the data folder, while no server runs over it.

    All of it is checked before anything is changed, and nothing is written over: the ledger that was there is kept
    beside it, that of another instance is left alone. FILE.bodies and FILE.person-keys are added to what the folder
    has, and what is in FILE.credentials once its passphrase is given. Who is on the list of erasures, of the folder, of
    FILE.erasures or of --erasures, is erased again by the next start, before it serves anybody.

    What was spent since the backup is not in it, so a server starts on it only after --acknowledge-gap, with FILE or
    later without; the gap is listed, to be compared with the provider's usage report.

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
    if file is None and (despite_differences or erasures or passphrase_file is not None):
        raise click.UsageError("Name the backup that these options are about.")
    settings = load_for_commands().settings
    ledger = ledger_file(settings)
    whole = (
        None
        if file is None
        else _restored(
            file,
            settings,
            passphrase_file,
            despite_differences=despite_differences,
            erasures=erasures,
        )
    )
    gap = whole.ledger.gap if whole is not None else None
    if acknowledge_gap or gap is None:
        gap = restoring.acknowledge_gap(ledger, SystemClock())
    answer = _answer(ledger, whole, gap, acknowledged=acknowledge_gap)
    if as_json:
        print_json(answer)
    else:
        _print(answer)
    _tell(answer, settings.data, whole)


def _restored(
    file: Path,
    settings: Settings,
    passphrase_file: Path | None,
    *,
    despite_differences: bool,
    erasures: tuple[Path, ...],
) -> Whole:
    from tuckshop.backups import restoring
    from tuckshop.system_clock import SystemClock

    passphrase = None
    if passphrase_file is not None or restoring.has_credentials(file):
        passphrase = passphrase_from(passphrase_file, is_new=False)
    return restoring.restore(
        file,
        restoring.Where(
            data=settings.data,
            ledger=ledger_file(settings),
            bodies_max_bytes=settings.bodies_max_bytes,
        ),
        SystemClock(),
        passphrase=passphrase,
        despite_differences=despite_differences,
        erasures=erasures,
    )


def _answer(ledger: Path, whole: Whole | None, gap: Gap, *, acknowledged: bool) -> Json:
    from tuckshop.domain.money import usd as exact_usd
    from tuckshop.services.fields import rfc3339

    restored = whole.ledger if whole is not None else None
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
        "verified": restored is not None and restored.is_verified and not restored.differences,
        "bodies": None if whole is None else whole.bodies,
        "bodies_unreadable": 0 if whole is None else whole.bodies_dark,
        "person_keys": None if whole is None else whole.person_keys,
        "erased": 0 if whole is None else whole.erased,
        "credentials": whole is not None and whole.credentials,
        "upstreams": [] if restored is None else restored.upstreams,
        "webhooks": [] if restored is None else restored.webhooks,
    }


def _print(answer: Json) -> None:
    gap, known = answer["gap"], answer["known_since"]
    facts: list[tuple[str, object]] = [
        ("ledger", answer["ledger"]),
        ("kept aside", answer["kept_aside"]),
        ("bodies", None if answer["bodies"] is None else f"{answer['bodies']:,} added"),
        (
            "person keys",
            None if answer["person_keys"] is None else f"{answer['person_keys']:,} added",
        ),
        (
            "erased",
            f"{answer['erased']:,} on the list; the start forgets them again"
            if answer["erased"]
            else None,
        ),
        ("credentials", "put back" if answer["credentials"] else None),
        ("gap", f"{when(gap['since'])} to {when(gap['until'])}"),
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
            "nothing is known of the gap: see the provider's usage report",
        )
    )
    facts.append(("limits", "stand as they did before the gap"))
    print_facts("Acknowledged" if answer["acknowledged"] else "Restored", facts)


def _tell(answer: Json, data: Path, whole: Whole | None) -> None:
    """What somebody has to do, also where JSON is printed."""
    if not (data / "secret-key").exists():
        note(
            f"There is no secret-key in {data}: put the one of the old server there before the start, or"
            " members get new pseudonyms at the provider, and nothing that is sealed opens."
        )
    if whole is not None:
        _tell_of_parts(whole)
    for name in answer["upstreams"]:
        note(
            f"A backup holds no credential: once the server runs, tuckshop upstream edit {name} --credential"
        )
    for webhook in answer["webhooks"]:
        note(
            f"A backup holds no secret: once the server runs, tuckshop webhook edit {webhook} --new-secret"
        )
    if not answer["acknowledged"]:
        note("To let a server start on it: tuckshop restore --acknowledge-gap")


def _tell_of_parts(whole: Whole) -> None:
    restored = whole.ledger
    if restored.differences:
        note(
            f"WARNING: its counters are not the sums of its rows in {len(restored.differences)} places, first:"
            f" {restored.differences[0]}"
        )
    if not restored.is_verified:
        note(
            "It is of an older version, so nobody has added it up: tuckshop verify, after the first start."
        )
    if whole.bodies_dark:
        note(
            f"{whole.bodies_dark:,} of {whole.bodies_here:,} kept prompts cannot be read: the keys of their"
            " persons are not here. Put person-keys.db there before the start, if you have it."
        )
    if whole.person_keys_too_old:
        note(
            "WARNING: this copy of the keys of persons is older than 30 days: delete it. Who was erased since then is"
            " erased again at the start only if the list of erasures here says so (--erasures)."
        )
    if whole.has_credentials and not whole.credentials:
        note(
            "The credentials were left out: again with --passphrase-file, or give them by command."
        )
