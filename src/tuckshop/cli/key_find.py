"""`tuckshop key find`: whose a key is that turned up where it should not be."""

from __future__ import annotations

import sys
from typing import Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import clean, note, print_facts, print_json, usd, when

_TEXT_MAX: Final = 1_000_000
_VERDICTS: Final = {
    "current": "a key of this server",
    "previous": "the secret that a key of this server had before its last rotation",
    "unknown": "rightly spelled, but of no key here: of another server, or rotated away since",
    "mistyped": "no key: its checksum is wrong, so a character is mistyped or missing",
    "foreign": "not a key of tuckshop",
}


@click.command()
@click.argument("source", metavar="-", type=click.Choice(["-"]))
@options.as_json
def find(source: str, as_json: bool) -> None:
    """
    Tell whose a key is. It is read from standard input (-): a secret, or any text in which keys stand.

    A secret is never an argument, where the shell's history and others on the machine would see it.

    \b
    Example:
      tuckshop key find - < config.py
      tuckshop key find -     # paste it, then Ctrl-D
    """
    if sys.stdin.isatty():
        note("Paste the key, or the text it stands in, and end with Ctrl-D:")
    text = sys.stdin.buffer.read(_TEXT_MAX + 1).decode(errors="replace")
    if len(text) > _TEXT_MAX:
        raise RefusedError(f"That is more than {_TEXT_MAX:,} bytes: send it in parts.")
    if not text.strip():
        raise RefusedError("Nothing came from standard input.")
    found = Client.connect().post("keys", "find", body={"text": text})
    if as_json:
        print_json(found)
    else:
        for one in found["data"]:
            _print(one)
    if not any(one["owner"] for one in found["data"]):
        raise RefusedError("None of it is a key of this server.")


def _print(one: Json) -> None:
    owner, key = one["owner"], one["key"]
    if owner is None or key is None:
        click.echo(clean(f"{one['seen']}  {_VERDICTS[one['verdict']]}"))
        return
    opens = "yes" if one["opens"] else "no"
    if one["opens"] and one["opens_until"] is not None:
        opens = f"until {when(one['opens_until'])}"
    print_facts(
        f"{one['seen']}  {_VERDICTS[one['verdict']]}",
        [
            ("member", f"{owner['group']}/{owner['external_id']}"),
            ("name", owner["name"]),
            ("e-mail", owner["email"]),
            ("key", f"{key['id']}  {key['name'] or ''}".rstrip()),
            ("state", key["state"]),
            ("opens now", opens),
            ("last used", when(key["last_used_at"]) or "never"),
            ("spent in 30 days", usd(owner["spent_usd"])),
        ],
    )
    if one["opens"]:
        note(f"Close it: tuckshop key rotate {key['id']}")
