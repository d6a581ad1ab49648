"""`tuckshop notify`: who is mailed of what happens."""

from __future__ import annotations

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json
from tuckshop.cli.output import allowed, note, print_facts, print_json
from tuckshop.domain.notices import NOTICE_KINDS


def _group_option(command: options.Command) -> options.Command:
    return click.option(
        "--group", metavar="GROUP", help="Of this group; without it, of all of them."
    )(command)


@click.group()
def notify() -> None:
    """
    Who is mailed of what happens: a budget that is nearly used up, an upstream that refuses its credential …

    Mails hold ids and numbers, no names; what comes together comes in one mail.

    \b
    Example:
      tuckshop notify set --group swa --mails ada@uni-example.org
      tuckshop notify set --mails ops@uni-example.org --kinds upstream_refused --kinds alarm
      tuckshop notify show --group swa
    """


@notify.command()
@_group_option
@options.as_json
def show(group: str | None, as_json: bool) -> None:
    """
    Show who is mailed.

    \b
    Example:
      tuckshop notify show --group swa
    """
    _show(Client.connect().get(*_path(group)), group, as_json)


@notify.command("set")
@_group_option
@click.option("--mails", multiple=True, metavar="ADDRESS", help="Who is mailed. Repeat.")
@click.option(
    "--kinds",
    multiple=True,
    type=click.Choice(NOTICE_KINDS),
    metavar="KIND",
    help=f"Only of this kind: {', '.join(NOTICE_KINDS)}. Repeat.",
)
@click.option(
    "--members/--no-members",
    default=None,
    help="Members are mailed too when they have used 80 and 100 % of their own money.",
)
@options.unset_option("kinds")
@options.empty_option("mails")
@options.as_json
def set_(
    group: str | None,
    unset: tuple[str, ...],
    empty: tuple[str, ...],
    as_json: bool,
    **fields: object,
) -> None:
    """
    Say who is mailed. What is not named stays; addresses and kinds that are named take the place of those before.

    \b
    Example:
      tuckshop notify set --group swa --mails ada@uni-example.org --mails grace@uni-example.org
      tuckshop notify set --group swa --kinds shared_budget --members
      tuckshop notify set --group swa --empty mails
    """
    change = options.change_of(fields, unset=unset, empty=empty)
    client = Client.connect()
    before = client.get(*_path(group))
    body = {name: before[name] for name in ("mails", "kinds", "members")} | change
    _show(client.put(*_path(group), body=body), group, as_json)


def _path(group: str | None) -> tuple[str, ...]:
    return ("workspace", "notify") if group is None else ("groups", group, "notify")


def _show(one: Json, group: str | None, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    print_facts(
        group or "all groups",
        [
            ("mails", ", ".join(one["mails"]) or "nobody"),
            ("kinds", allowed(one["kinds"])),
            ("members", "of their own budgets" if one["members"] else "not mailed"),
        ],
    )
    if one["trouble"] is not None:
        note(one["trouble"])
