"""`tuckshop who`: whose pseudonym the provider shows."""

from __future__ import annotations

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client
from tuckshop.cli.output import note, print_facts, print_json


@click.command()
@click.argument("pseudonym", metavar="HASH")
@click.option("--reason", required=True, help="Why you ask, for whoever asks later. It is audited.")
@options.as_json
def who(pseudonym: str, reason: str, as_json: bool) -> None:
    """
    Tell which member it is whom the provider knows by HASH: the safety_identifier, or user, of a call.

    \b
    Example:
      tuckshop who 9f86d081884c7d659a2f… --reason 'the provider has warned us'
    """
    body = {"pseudonym": pseudonym, "reason": reason}
    found = Client.connect().post("who", body=body)
    if as_json:
        print_json(found)
        return
    name = f"{found['group_name']}/{found['external_id']}"
    facts = [
        ("id", found["member"]),
        ("name", found["name"]),
        ("e-mail", found["email"]),
        ("state", found["state"]),
    ]
    print_facts(name, facts)
    note(
        f"Their calls: tuckshop log --member {found['member']}. Stop them: tuckshop member pause {found['member']}"
    )
