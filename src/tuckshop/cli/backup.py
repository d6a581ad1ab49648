"""`tuckshop backup`: a copy of the ledger in one file."""

from __future__ import annotations

from pathlib import Path

import click

from tuckshop.cli import options
from tuckshop.cli.client import RefusedError
from tuckshop.cli.ledger_file import ledger_file
from tuckshop.cli.output import clean, note, print_json
from tuckshop.settings import load_for_commands


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.as_json
def backup(file: Path, as_json: bool) -> None:
    """
    Copy the ledger to the new FILE, also while the server runs.

    FILE is there whole and verified, or not at all; nothing is ever overwritten. It holds groups, members, key digests,
    limits and the request log, for its owner only, and no credential: neither the admin token, nor that of
    any upstream, nor `secret-key`. Keep that last one apart, once: it does not change.

    \b
    Example:
      tuckshop backup /srv/backups/tuckshop-2026-11-24.db
    """
    # Only here: no other command needs the ledger.
    from tuckshop.ledger.backup import back_up
    from tuckshop.services.fields import rfc3339
    from tuckshop.system_clock import SystemClock

    made, report = back_up(ledger_file(load_for_commands().settings), file, SystemClock())
    if as_json:
        print_json(
            {
                "file": str(made.path),
                "made_at": rfc3339(made.made_at_us),
                "size_bytes": made.size_bytes,
                "requests": report.requests,
                "agrees": not report.differences,
            }
        )
    if report.differences:
        raise RefusedError(
            f"{clean(made.path)} is a true copy, but the ledger contradicts itself (see `tuckshop verify`), first here:"
            f"\n{clean(report.differences[0])}"
        )
    if not as_json:
        note(
            f"{made.path}: {report.requests:,} requests, {made.size_bytes / 1e6:,.1f} MB, verified."
        )
