"""`tuckshop erase`: forget a person, or everybody of a group whose term is over."""

from __future__ import annotations

import sys
from collections.abc import Collection

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.naming import member_id
from tuckshop.cli.output import clean, note, print_facts, print_json

_reason = click.option(
    "--reason", required=True, help="Why, for whoever asks later. It stays: do not name the person."
)
_dry_run = click.option(
    "--dry-run", is_flag=True, help="Tell what would be erased; change nothing."
)
_COUNTS = ("keys", "claims", "mails", "flags", "requests", "bodies")


@click.group()
def erase() -> None:
    """
    Erase people: who they are goes, what they spent stays as sums without a name.

    \b
    Example:
      tuckshop erase member swa/4711 --reason 'asked for by letter' --dry-run
      tuckshop erase group swa --reason 'the term is over'
    """


@erase.command()
@click.argument("name", metavar="[MEMBER]", required=False)
@click.option("--external-id", metavar="ID", help="In place of MEMBER, whatever the group.")
@_reason
@_dry_run
@click.option(
    "--yes-erase", metavar="NAME", help="The external id, or the member's id: do not ask for it."
)
@options.as_json
def member(
    name: str | None,
    external_id: str | None,
    reason: str,
    dry_run: bool,
    yes_erase: str | None,
    as_json: bool,
) -> None:
    """
    Erase a person, in every group that you see.

    Names, keys, links, mails, tags and kept contents go for good, and the key that backups would need to show what was
    closed with it. Sums stay. Who comes back to the group under the same external id meets what they spent.

    \b
    Example:
      tuckshop erase member swa/4711 --reason 'asked for by letter' --dry-run
      tuckshop erase member --external-id 4711 --reason 'asked for by letter'
      tuckshop erase member swa/4711 --reason 'asked' --yes-erase 4711
    """
    client = Client.connect()
    chosen = named_person(client, name, external_id, reason)
    told = client.post("erase", "members", chosen, body={"reason": reason, "dry_run": True})
    if dry_run:
        _tell(told, as_json=as_json)
        return
    shown = client.get("members", chosen)
    _confirm(
        told,
        (shown["external_id"], chosen),
        yes_erase,
        f"Erase {clean(shown['external_id'])} for good",
    )
    _tell(client.post("erase", "members", chosen, body={"reason": reason}), as_json=as_json)


@erase.command()
@click.argument("name", metavar="GROUP")
@_reason
@_dry_run
@click.option("--yes-erase", metavar="GROUP", help="The group's name: do not ask for it.")
@options.as_json
def group(name: str, reason: str, dry_run: bool, yes_erase: str | None, as_json: bool) -> None:
    """
    Erase everybody of an archived group, and what would let anybody be known again who comes back.

    \b
    Example:
      tuckshop erase group swa --reason 'the term is over' --dry-run
      tuckshop group archive swa
      tuckshop erase group swa --reason 'the term is over'
    """
    client = Client.connect()
    found = client.get("groups", name)
    path = ("erase", "groups", found["id"])
    told = client.post(*path, body={"reason": reason, "dry_run": True})
    if dry_run:
        _tell(told, as_json=as_json)
        return
    if found["state"] != "archived":
        raise RefusedError(
            f"The group {clean(found['name'])} is {found['state']}: archive it first, by"
            f" tuckshop group archive {clean(found['name'])}"
        )
    number = len(told["data"])
    _confirm(told, (found["name"],), yes_erase, f"Erase {number} members of it for good")
    done: Json = {**told, "dry_run": False, "data": [], "running": 0, **dict.fromkeys(_COUNTS, 0)}
    body = {"reason": reason, "confirm": found["name"]}
    with click.progressbar(
        length=number, label="Erased", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        while True:
            part = client.post(*path, body=body)
            done["data"] += part["data"]
            for count in (*_COUNTS, "running"):
                done[count] += part[count]
            bar.update(len(part["data"]))
            if not part["left"]:
                break
    _tell(done, as_json=as_json)


def named_person(client: Client, name: str | None, external_id: str | None, reason: str) -> str:
    """
    The id of a member named by MEMBER or by `--external-id`, for the *reason* also where their groups hide names.

    Raises:
        click.UsageError: Neither, or both.
        RefusedError: There is none.
    """
    if (name is None) == (external_id is None):
        raise click.UsageError("Name a MEMBER (swa/4711 or mem_…), or say --external-id.")
    if name is not None:
        return member_id(client, name)
    found = [
        str(one["id"])
        for one in client.rows("members", external_id=external_id, state="all", limit=1)
    ] or [
        str(one["member"])
        for one in client.post("identities", body={"external_id": external_id, "reason": reason})[
            "data"
        ]
    ]
    if not found:
        raise RefusedError(f"There is no member with the external id {external_id!r}.")
    return found[0]


def _confirm(told: Json, names: Collection[str], typed: str | None, question: str) -> None:
    """
    Go on only if the name was typed.

    Raises:
        RefusedError: Another was, or nobody can be asked.
    """
    first = next(iter(names))
    if typed is None:
        if not sys.stdin.isatty():
            raise RefusedError(f"{question}? Say --yes-erase {first}.")
        _print_counts(told)
        typed = click.prompt(f"{question}? Type {clean(first)} to go on", err=True)
    if typed not in names:
        raise RefusedError(f"That is not {clean(first)}: nothing was erased.")


def _tell(report: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    _print_counts(report)
    if report["copies"]:
        note(
            "Beside the ledger lie copies of it as it was, of an upgrade or a restore, which still hold them. Delete"
            f" them when nobody needs them: {', '.join(map(clean, report['copies']))}"
        )
    if report["dry_run"]:
        note("Nothing was changed.")
    elif report["running"]:
        note(
            f"{report['running']} of their calls still run: what these leave is erased when they end, also after a"
            " restart."
        )


def _print_counts(report: Json) -> None:
    groups = len({row["group"] for row in report["data"]})
    print_facts(
        "Would be erased" if report["dry_run"] else "Erased",
        [
            ("members", f"{len(report['data']):,} in {groups} group{'' if groups == 1 else 's'}"),
            ("keys", f"{report['keys']:,}"),
            ("links to pick up a key", f"{report['claims']:,}"),
            ("mails", f"{report['mails']:,}"),
            (
                "rows of the log",
                f"{report['requests']:,}, without tag, network and id at the provider",
            ),
            ("flags", f"{report['flags']:,}, without reasons and content digests"),
            ("kept bodies", f"{report['bodies']:,}"),
        ],
    )
