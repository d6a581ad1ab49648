"""`tuckshop backup`: a copy of the ledger in one file, and what else is wished beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuckshop.cli import options
from tuckshop.cli.client import RefusedError
from tuckshop.cli.ledger_file import ledger_file
from tuckshop.cli.output import clean, note, print_json
from tuckshop.cli.passphrase import passphrase_file, passphrase_from
from tuckshop.cli.terminal import waiting
from tuckshop.settings import load_for_commands

if TYPE_CHECKING:
    from tuckshop.backups.making import Made


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--without-bodies", is_flag=True, help="Leave kept prompts and answers out (FILE.bodies)."
)
@click.option(
    "--with-person-keys",
    is_flag=True,
    help="Copy the keys of persons too (FILE.person-keys). Delete that copy within 30 days.",
)
@click.option(
    "--with-credentials",
    is_flag=True,
    help="Copy secret-key and what is sealed with it too, under a passphrase (FILE.credentials).",
)
@passphrase_file
@options.as_json
def backup(
    file: Path,
    without_bodies: bool,
    with_person_keys: bool,
    with_credentials: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """
    Copy the ledger to the new FILE, also while the server runs.

    FILE is there whole and verified, or not at all; nothing is ever overwritten. It holds groups, members, key digests,
    limits and the request log, for its owner only, and no credential: neither the admin token, nor that of
    any upstream, nor `secret-key`. Keep that last one apart, once: it does not change.

    Kept prompts are copied to FILE.bodies as they lie there, sealed with the keys of their persons, which are in
    neither of the two. FILE.erasures says who was erased, by id, so that nobody comes back by a restore.

    \b
    Example:
      tuckshop backup /srv/backups/tuckshop-2026-11-24.db
      tuckshop backup /srv/move/all.db --with-person-keys --with-credentials
    """
    # Only here: no other command needs the ledger.
    from tuckshop.backups.making import Wish, make
    from tuckshop.system_clock import SystemClock

    if passphrase_file is not None and not with_credentials:
        raise click.UsageError("--passphrase-file is for --with-credentials.")
    passphrase = passphrase_from(passphrase_file, is_new=True) if with_credentials else None
    if with_credentials and passphrase is None:
        raise RefusedError(
            "No passphrase was given: type it at the prompt, or name --passphrase-file."
        )
    settings = load_for_commands().settings
    with waiting("Copying and verifying", hidden=as_json):
        made = make(
            settings.data,
            ledger_file(settings),
            file,
            SystemClock(),
            Wish(bodies=not without_bodies, person_keys=with_person_keys, passphrase=passphrase),
        )
    if as_json:
        print_json(_answer(made))
    if made.report.differences:
        raise RefusedError(
            f"{clean(made.backup.path)} is a true copy, but the ledger contradicts itself (see `tuckshop verify`),"
            f" first here:\n{clean(made.report.differences[0])}"
        )
    if not as_json:
        note(
            f"{file}: {made.report.requests:,} requests, {made.backup.size_bytes / 1e6:,.1f} MB, verified."
        )
        if made.bodies is not None:
            note(f"{made.bodies}: kept prompts and answers, sealed.")
    _warn(made, asked_for_keys=with_person_keys)


def _warn(made: Made, *, asked_for_keys: bool) -> None:
    """Loudly, also where JSON is printed."""
    from tuckshop.backups.parts import PERSON_KEYS_MAX_DAYS

    if made.person_keys is not None:
        note(
            f"WARNING: {made.person_keys} opens, with secret-key, what is kept of persons, also of those who"
            f" are erased later. Keep it apart, and delete it within {PERSON_KEYS_MAX_DAYS} days."
        )
    elif asked_for_keys:
        note("There are no keys of persons: nothing of anybody has been sealed yet.")
    if made.credentials is not None:
        note(
            f"WARNING: {made.credentials} holds secret-key and the credentials of the upstreams. Whoever has it"
            " and the passphrase spends your money: keep the two apart."
        )


def _answer(made: Made) -> dict[str, object]:
    from tuckshop.services.fields import rfc3339

    def told(path: Path | None) -> str | None:
        return None if path is None else str(path)

    return {
        "file": str(made.backup.path),
        "made_at": rfc3339(made.backup.made_at_us),
        "size_bytes": made.backup.size_bytes,
        "requests": made.report.requests,
        "agrees": not made.report.differences,
        "bodies": told(made.bodies),
        "person_keys": told(made.person_keys),
        "credentials": told(made.credentials),
    }
