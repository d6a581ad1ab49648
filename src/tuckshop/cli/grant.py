"""`tuckshop member grant` and `grants`: extra money, and what is left of it."""

from __future__ import annotations

from decimal import Decimal

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json
from tuckshop.cli.naming import member_id
from tuckshop.cli.output import as_list, note, print_json, print_table, usd, when
from tuckshop.cli.times import when_in
from tuckshop.domain.wording import counted


@click.command()
@click.argument("member", metavar="[MEMBER]…", nargs=-1)
@click.option("--amount-usd", type=options.Dollars(), required=True, help="How much, such as 0.5.")
@click.option(
    "--until",
    metavar="TIME",
    help="Until the end of this day in the group's time zone, or a time such as"
    " 2026-12-31T18:00:00+01:00. Without it, until it is used up.",
)
@click.option("--reason", help="What for. It is shown with the grant.")
@click.option("--group", metavar="GROUP", help="Members of this group, named by external id.")
@click.option("--all", "everybody", is_flag=True, help="All members of the group.")
@options.as_json
def grant(
    member: tuple[str, ...],
    amount_usd: Decimal,
    until: str | None,
    reason: str | None,
    group: str | None,
    everybody: bool,
    as_json: bool,
) -> None:
    """
    Add money to every money limit of a MEMBER's own, once.

    What a window spends above its amount is taken from the grant, until it is used up or past. Limits that members
    share still hold.

    \b
    Example:
      tuckshop member grant swa/4711 --amount-usd 0.5 --until 2026-12-31 --reason 'project week'
      tuckshop member grant --group swa --all --amount-usd 0.5 --until 2026-12-31
    """
    body: Json = options.body_of({"amount_usd": amount_usd, "until": until, "reason": reason})
    client = Client.connect()
    if group is None:
        if len(member) != 1 or everybody:
            raise click.UsageError("Name one MEMBER, or --group and its members or --all.")
        made = [client.make("members", member_id(client, member[0]), "grants", body=body)]
    else:
        if everybody == bool(member):
            raise click.UsageError("Name the members of the group, or say --all.")
        if member:
            body["members"] = list(member)
        made = client.make("groups", group, "grants", body=body)["data"]
    if as_json:
        print_json(made[0] if group is None else {"data": made})
        return
    if not made:
        click.echo("There is nobody in the group to grant it to.")
        return
    if group is None:
        group = str(client.get("members", made[0]["member"])["group"])
    found = client.get("groups", group)
    end = made[0]["until"]
    ending = f" until {when_in(end, found['time_zone'])}" if end else ""
    click.echo(f"Granted {usd(amount_usd)} to {counted(len(made), 'member')}{ending}.")
    _tell_what_holds_still(found, amount_usd * len(made))


@click.command()
@click.argument("member", metavar="MEMBER")
@options.as_json
def grants(member: str, as_json: bool) -> None:
    """
    List the grants of a MEMBER, with what each of their money limits has left of them.

    \b
    Example:
      tuckshop member grants swa/4711
    """
    client = Client.connect()
    found = list(client.rows("members", member_id(client, member), "grants"))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note("Nothing was granted to this member.")
    else:
        print_table(
            ["granted", "amount", "until", "state", "left", "reason"],
            [
                [
                    *(when(one["granted_at"]), usd(one["amount_usd"]), when(one["until"])),
                    *(one["state"], _left(one), one["reason"]),
                ]
                for one in found
            ],
            right=frozenset({"amount"}),
            expendable=["reason", "granted"],
        )


def _tell_what_holds_still(group: Json, granted: Decimal) -> None:
    """Say which limits over more than one member are too small for all that was *granted*: no grant lifts them."""
    for standing in group["in_force"]:
        if not str(standing["limit"]).startswith("$"):
            continue
        shared, mend = "that all groups share", "tuckshop workspace edit --limits …"
        if standing["scope"] == "group":
            shared = "that the group shares"
            mend = f"tuckshop group edit {group['name']} --shared …"
        told = f"The limit {standing['limit']} {shared} still holds"
        if "remaining" not in standing:  # over more than this token may see
            note(f"{told}.")
        elif standing["remaining"] < granted:
            note(f"{told}: {usd(standing['remaining'])} left.")
            note(f"Granted: {usd(granted)} in all. Raise it: {mend}")


def _left(one: Json) -> str:
    return ", ".join(f"{usd(rest['left_usd'])} beyond {rest['limit']}" for rest in one["left"])
