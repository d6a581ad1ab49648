"""`tuckshop member identity`: who is behind a pseudonym."""

from __future__ import annotations

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.naming import member_id
from tuckshop.cli.output import note, print_facts, print_json

reason_option = click.option(
    "--reason",
    required=True,
    metavar="WHY",
    help="Why. It is kept in the audit trail, so name nobody in it.",
)


@click.command("identity")
@click.argument("member", metavar="[MEMBER]", required=False)
@click.option("--external-id", help="The other way round: whose pseudonyms are these?")
@reason_option
@options.as_json
def identity(member: str | None, external_id: str | None, reason: str, as_json: bool) -> None:
    """
    Tell who a MEMBER is whose group shows pseudonyms, and as whom else they are known in groups that you see.

    An owner of the group may, and the operator. The audit trail keeps who asked, when, and why.

    \b
    Example:
      tuckshop member identity swa/gentle-otter-4k7m2 --reason 'asked for more budget by mail'
      tuckshop member identity --external-id 4711 --reason 'their key does not open'
    """
    if (member is None) == (external_id is None):
        raise click.UsageError("Name a MEMBER, or --external-id.")
    client = Client.connect()
    if member is not None:
        found = client.post(
            "members", member_id(client, member), "identity", body={"reason": reason}
        )
        shown = [found]
    else:
        found = client.post("identities", body={"external_id": external_id, "reason": reason})
        shown = found["data"]
        if not shown and not as_json:
            raise RefusedError(f"There is no member {external_id!r} in the groups that you see.")
    if as_json:
        print_json(found)
        return
    for one in shown:
        _print(one)
    note("That you asked, and why, is in the audit trail.")


def _print(one: Json) -> None:
    print_facts(
        f"{one['external_id']}  {one['name'] or ''}".rstrip(),
        [
            ("e-mail", one["email"]),
            ("pseudonym", one["pseudonym"]),
            ("id", one["member"]),
            ("group", one["group"]),
            *(("also", f"{other['pseudonym']}  {other['member']}") for other in one["others"]),
        ],
    )
