"""`tuckshop hold`: legal holds on what is kept of prompts and answers."""

from __future__ import annotations

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json
from tuckshop.cli.naming import member_id
from tuckshop.cli.output import as_list, note, print_facts, print_json, print_table, stamp, when


@click.group()
def hold() -> None:
    """
    Legal holds: what is kept of a member or a group is neither deleted nor read, but by the operator.

    \b
    Example:
      tuckshop hold set --member swa/4711 --reason 'complaint of 12 May'
      tuckshop hold list
      tuckshop hold release hld_06f… --reason 'settled'
    """


@hold.command("set")
@click.option("--group", metavar="GROUP", help="Of this group.")
@click.option("--member", metavar="MEMBER", help="Of this member.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is audited.")
@options.as_json
def set_(group: str | None, member: str | None, reason: str, as_json: bool) -> None:
    """
    Hold what is kept of a group or a member. From then on nothing of it is deleted.

    \b
    Example:
      tuckshop hold set --member swa/4711 --reason 'complaint of 12 May'
      tuckshop hold set --group swa --reason 'order of the court'
    """
    if (group is None) == (member is None):
        raise click.UsageError("Name a group or a member, one of the two.")
    client = Client.connect()
    body: Json = {"reason": reason}
    if group is not None:
        body["group"] = group
    if member is not None:
        body["member"] = member_id(client, member)
    _show(client.make("holds", body=body), as_json)


@hold.command("list")
@click.option(
    "--state",
    type=click.Choice(["active", "released", "all"]),
    help="Only these; without it, those in force.",
)
@options.as_json
def list_(state: str | None, as_json: bool) -> None:
    """
    List legal holds, oldest first.

    \b
    Example:
      tuckshop hold list --state all
    """
    found = list(Client.connect().rows("holds", state=state))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note("There is no legal hold.")
    else:
        print_table(
            ["since (UTC)", "of", "set by", "released (UTC)", "id"],
            [
                [
                    *(stamp(one["at"]), one["member"] or one["group"], one["set_by"]),
                    *(stamp(one["released_at"]), one["id"]),
                ]
                for one in found
            ],
        )


@hold.command()
@click.argument("hold_id", metavar="HOLD")
@click.option("--reason", required=True, metavar="TEXT", help="Why it is over; it is audited.")
@options.as_json
def release(hold_id: str, reason: str, as_json: bool) -> None:
    """
    Release the legal hold HOLD (hld_…). What its group no longer keeps is deleted within a minute.

    \b
    Example:
      tuckshop hold release hld_06f… --reason 'settled'
    """
    _show(Client.connect().post("holds", hold_id, "release", body={"reason": reason}), as_json)


def _show(one: Json, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    print_facts(
        one["id"],
        [
            ("group", one["group"]),
            ("member", one["member"]),
            ("since", when(one["at"])),
            ("set by", one["set_by"]),
            ("released", when(one["released_at"])),
            ("released by", one["released_by"]),
        ],
    )
