"""`tuckshop export`: everything about a person, as a folder that is handed to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.erase import named_person
from tuckshop.cli.export_readme import readme
from tuckshop.cli.export_words import WORDS, Language
from tuckshop.cli.output import clean, json_text, note, print_json
from tuckshop.cli.private_folder import PrivateFolder, new_folder

_ID: Final = re.compile(r"[A-Za-z0-9_]{1,80}")
_GROUP: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_TRAIL: Final = ("at", "actor", "action", "object", "before", "after")
# File → (field of the export, its columns). What is empty is not written.
TABLES: Final = {
    "keys.csv": (
        "keys",
        *("id", "key", "name", "state", "expires_at", "last_used_at", "tags", "limits"),
        "taken_from",
    ),
    "usage.csv": (
        "usage",
        *("month", "model", "requests", "input_tokens", "output_tokens", "cached_tokens"),
        "cost_usd",
    ),
    "links.csv": ("links", "id", "created_at", "expires_at", "state", "used_at", "key"),
    "changes.csv": ("entries", "at", "kind", "about", "amount_usd", "until", "by", "reason"),
    "mails.csv": ("mails", "queued_at", "tried_at", "kind", "to", "state"),
    "notices.csv": ("notices", "at", "kind", "key", "request", "facts", "mails", "webhooks"),
    "holds.csv": ("holds", "id", "at", "set_by", "released_at", "released_by"),
    "read-by.csv": ("reads", *_TRAIL),
    "trail.csv": ("trail", *_TRAIL),
}


class _Line(msgspec.Struct):
    """What names a conversation."""

    id: str


@click.group()
def export() -> None:
    """
    Tell a person everything about themselves.

    \b
    Example:
      tuckshop export member swa/4711 --reason 'asked for by letter' --out ada
    """


@export.command()
@click.argument("name", metavar="[MEMBER]", required=False)
@click.option("--external-id", metavar="ID", help="In place of MEMBER, whatever the group.")
@click.option(
    "--reason",
    required=True,
    metavar="TEXT",
    help="Why prompts and answers are read; it is audited.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The folder: a new one, readable by you alone. Unless said, export- and the member's id.",
)
@click.option(
    "--lang",
    type=click.Choice(list(WORDS)),
    default="en",
    show_default=True,
    help="In which language the page is that explains it.",
)
@options.as_json
def member(
    name: str | None,
    external_id: str | None,
    reason: str,
    out: Path | None,
    lang: Language,
    as_json: bool,
) -> None:
    """
    Write everything about a person into a folder, of every group that you see.

    A folder per group: profile, keys, calls with their costs, prompts and answers where they are kept, flags and what
    was said to them, mails, and who read any of it when. A page in plain words, README.txt or LIESMICH.txt, says what
    is what. It is for that person alone: hand it over sealed, and delete it.

    \b
    Example:
      tuckshop export member swa/4711 --reason 'asked for by letter'
      tuckshop export member --external-id 4711 --reason 'asked for by letter' --lang de --out ada
    """
    if as_json and out is not None:
        raise click.UsageError("--json is for standard output.")
    client = Client.connect()
    if as_json:
        print_json(_everything(client, named_person(client, name, external_id, reason), reason))
        return
    chosen = named_person(client, name, external_id, reason)
    path = out or Path(f"export-{chosen}")
    with new_folder(path) as folder:
        told = _everything(client, chosen, reason)
        for one in told["data"]:
            one["conversations"] = _write(client, folder, one, reason)
        # The last of all: a folder without it is not whole.
        folder.write(WORDS[lang].file, readme(told, WORDS[lang]))
    _tell(path, told["data"])


def _everything(client: Client, chosen: str, reason: str) -> Json:
    """What is known of the person that the member *chosen* is: by their name also where their groups hide it."""
    who = client.post("members", chosen, "identity", body={"reason": reason})
    told: Json = client.get("export", "members", chosen)
    for other in who["others"]:
        if all(one["member"]["id"] != other["member"] for one in told["data"]):
            told["data"] += client.get("export", "members", other["member"])["data"]
    people = {chosen: who}
    hidden = {one["member"]["id"] for one in told["data"] if one["member"]["pseudonymous"]}
    if hidden - people.keys():
        asked = {"external_id": who["external_id"], "reason": reason}
        people |= {one["member"]: one for one in client.post("identities", body=asked)["data"]}
    for one in told["data"]:
        if one["member"]["pseudonymous"]:
            person = people[one["member"]["id"]]
            one["member"] |= {field: person[field] for field in ("external_id", "name", "email")}
    return told


def _write(client: Client, folder: PrivateFolder, one: Json, reason: str) -> int:
    """Everything about the person in one group; how many conversations there were."""
    group, member_id = one["group"]["name"], one["member"]["id"]
    if not _GROUP.fullmatch(group) or not _ID.fullmatch(member_id):
        raise RefusedError(f"{client.url} does not answer as tuckshop does.")
    place = folder.inside(group)
    profile = ("member", "created_at", "erased_at", "group", "bodies")
    place.write_json("profile.json", {field: one[field] for field in profile})
    for key in one["keys"]:
        key["key"] = f"sk-tuck-…{key['last4']}" if key["last4"] else None
    for file, (field, *columns) in TABLES.items():
        if one[field]:
            place.write_table(file, columns, one[field])
    for field in ("flags", "appeals"):
        if one[field]:
            place.write_json(f"{field}.json", one[field])
    if one["calls"]:
        with place.file("calls.csv") as out:
            client.copy_csv("requests", out=out, member=member_id)
    if not (one["bodies"]["kept"] and one["bodies"]["readable"]):
        return 0
    kept = place.inside("conversations")
    count = 0
    for line in client.lines("export", "members", member_id, "bodies", body={"reason": reason}):
        try:
            request = msgspec.json.decode(line, type=_Line).id
        except msgspec.DecodeError:
            request = ""
        if not _ID.fullmatch(request):
            raise RefusedError(f"{client.url} does not answer as tuckshop does.")
        kept.write(f"{request}.json", json_text(msgspec.Raw(line)) + "\n")
        count += 1
    return count


def _tell(path: Path, data: Sequence[Json]) -> None:
    groups = ", ".join(clean(one["group"]["name"]) for one in data)
    calls = sum(one["calls"] for one in data)
    conversations = sum(one["conversations"] for one in data)
    click.echo(
        f"Written to {clean(path)}, which only you can read: {groups}; {calls:,} calls,"
        f" {conversations:,} of them with prompt and answer."
    )
    for one in data:
        if one["bodies"]["kept"] and not one["bodies"]["readable"]:
            note(
                f"{one['bodies']['kept']:,} prompts and answers of {clean(one['group']['name'])} are kept and not in"
                f" it: {clean(one['bodies']['why_not'])}"
            )
    note("Look through it before you hand it over: it is for that person alone. Then delete it.")
