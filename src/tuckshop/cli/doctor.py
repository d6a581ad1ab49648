"""`tuckshop doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

import click

from tuckshop.cli import options
from tuckshop.cli.client import Json, RefusedError
from tuckshop.cli.ledger_file import ledger_file
from tuckshop.cli.output import clean, print_json
from tuckshop.domain.errors import SettingsError
from tuckshop.settings import load_from_process

_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "bad": "red"}


@click.command()
@click.option(
    "--online",
    is_flag=True,
    help="Also ask every upstream for its models, and the mail server to let us in; costs nothing.",
)
@options.as_json
def doctor(online: bool, as_json: bool) -> None:
    """
    Check everything that a server needs, and say how to mend what is wrong; exit status 1 if anything is bad.

    Looks at settings, data folder, disk, SQLite, ledger, clock and prices, also while the server runs, and changes
    nothing. Run it as the server's user, with the server's settings.

    \b
    Example:
      tuckshop doctor --online
    """
    findings = _findings(online=online)
    if as_json:
        bad = any(finding["level"] == "bad" for finding in findings)
        print_json({"healthy": not bad, "findings": findings})
    else:
        for finding in findings:
            click.secho(f"{finding['level']:<8}", fg=_COLOURS[finding["level"]], nl=False)
            click.echo(clean(f"{finding['subject']}: {finding['what']}"))
            if finding["mend"] is not None:
                click.echo(clean(f"        → {finding['mend']}"))
    bad_ones = sum(finding["level"] == "bad" for finding in findings)
    if bad_ones:
        raise RefusedError(f"{bad_ones} to be mended.")


def _findings(*, online: bool) -> list[Json]:
    # Only here: no other command needs all of it.
    from tuckshop import doctor as checks
    from tuckshop.doctor_mail import ask_mail_server
    from tuckshop.doctor_upstreams import ask_upstreams
    from tuckshop.finding import Finding
    from tuckshop.system_clock import SystemClock

    try:
        settings = load_from_process().settings
    except SettingsError as error:
        found = [Finding("bad", "settings", str(error), "`tuckshop config` lists all there are")]
    else:
        found = checks.examine(settings, ledger_file(settings), SystemClock())
        if online:
            found += ask_upstreams(settings, ledger_file(settings))
            found += ask_mail_server(settings)
    return [
        {"level": one.level, "subject": one.subject, "what": one.what, "mend": one.mend}
        for one in found
    ]
