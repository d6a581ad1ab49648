"""`tuckshop prices refresh`: the prices of another list, such as a newer release's, compared and put."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from tuckshop.cli import options
from tuckshop.cli.bulk import ask
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import clean, note, print_json, usd, when

_FILE_MAX_BYTES: Final = 4 << 20
_SIGNS: Final = {"new": "+", "changed": "~", "pinned": "=", "kept": " ", "gone": "-"}
_COLOURS: Final = {"new": "green", "changed": "yellow", "pinned": "cyan", "gone": "red"}
_WORDS: Final = {
    "new": "new",
    "changed": "to change",
    "pinned": "to stay though their model changes",
    "kept": "set by hand and kept",
    "gone": "not in the file",
}
_NAMES: Final = {"cached_input": "cached", "snapshot_of": "snapshot of"}


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option(
    "--upstream", default="openai", show_default=True, metavar="NAME", help="Whose prices they are."
)
@click.option("--dry-run", is_flag=True, help="Show the difference; change nothing.")
@click.option(
    "--from", "since", metavar="TIME", help="From then on: a day, or a time with its zone."
)
@click.option("--replace-own", is_flag=True, help="Also what `tuckshop prices set` said.")
@click.option("--yes", is_flag=True, help="Do not ask, also where prices fall.")
@options.as_json
def refresh(
    file: str,
    upstream: str,
    dry_run: bool,
    since: str | None,
    replace_own: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Take prices from FILE, a price list as it comes with tuckshop: the prices.json of a newer release.

    Nothing is fetched: where the file comes from is up to you. What differs is shown, and put from now on or from some
    time on. What costs less than now is put only when you say so. What was set by hand stays, and so does what the
    file does not have. Doing it again changes nothing.

    \b
    Example:
      tuckshop prices refresh prices.json --dry-run
      tuckshop prices refresh prices.json --from 2027-01-01
    """
    body: Json = {"prices": _read(file), "upstream": upstream}
    body |= {"replace_own": True} if replace_own else {}
    body |= {} if since is None else {"effective_from": since}
    client = Client.connect()
    found = client.post("prices", "refresh", body={**body, "dry_run": True})
    if not as_json:
        _print_difference(found)
    if dry_run:
        if as_json:
            print_json(found)
        else:
            note("Nothing was changed.")
        return
    less = sum(one["is_less"] for one in found["data"])
    if less and not yes:
        ask(f"{less} would be charged or held less than now. Go on?", can_ask=file != "-")
    done = client.post("prices", "refresh", body={**body, "accept_less": bool(less)})
    if as_json:
        print_json(done)
    elif put := sum(one["action"] in ("new", "changed", "pinned") for one in done["data"]):
        click.echo(f"{put} prices are put, from {when(done['effective_from'])} on.")
    else:
        click.echo("Nothing to change.")


def _read(file: str) -> Any:
    try:
        raw = sys.stdin.buffer.read(_FILE_MAX_BYTES + 1) if file == "-" else _bytes_of(Path(file))
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror}.") from error
    if len(raw) > _FILE_MAX_BYTES:
        raise RefusedError(f"{file} is larger than {_FILE_MAX_BYTES >> 20} MiB: no price list is.")
    try:
        rows = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise RefusedError(f"{file} is no price list: {error}.") from error
    if not isinstance(rows, list):
        raise RefusedError(f"{file} is no price list: expected a list of models, as prices.json.")
    return rows


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(_FILE_MAX_BYTES + 1)


def _print_difference(found: Json) -> None:
    for one in found["data"]:
        for line in _lines(one):
            click.secho(clean(line), fg=_COLOURS.get(one["action"]))
        if one["is_less"]:
            click.secho("      costs or holds less than now", fg="magenta")
    counts = Counter(one["action"] for one in found["data"])
    told = [f"{counts[action]} {words}" for action, words in _WORDS.items() if counts[action]]
    told += [f"{found['unchanged']} as they are"] if found["unchanged"] else []
    click.secho(", ".join(told) or "No models", bold=True)


def _lines(one: Json) -> Iterator[str]:
    why = {
        "pinned": "  (stays as it is, though its model changes)",
        "kept": "  (set by hand: kept; --replace-own)",
        "gone": "  (not in the file: stays as it is)",
    }.get(one["action"], "")
    yield f"{_SIGNS[one['action']]} {one['model']}{why}"
    if one["action"] in ("new", "changed", "kept"):
        before, after = _flat(one["before"]), _flat(one["after"])
        for name in dict.fromkeys([*before, *after]):
            old, new = before.get(name), after.get(name)
            if old != new:
                change = new if one["before"] is None else f"{old or 'none'} → {new or 'none'}"
                yield f"      {name}: {change}"
    if one["next_from"] is not None:
        yield f"      another price comes at {when(one['next_from'])}, and stays"


def _flat(terms: Json | None) -> dict[str, str]:
    """Name and value of all that is stated, in the order in which people look for it."""
    if terms is None:
        return {}
    found = {"price": "free"} if terms["free"] else {}
    found |= {_NAMES.get(unit, unit): usd(rate) for unit, rate in terms["units"].items()}
    if (far := terms["long_context"]) is not None:
        found["long from"] = f"{far['above']:,} tokens"
        found |= {f"long {_NAMES.get(u, u)}": usd(rate) for u, rate in far["units"].items()}
    for name, value in terms.items():
        if name not in ("free", "units", "long_context") and value not in (None, False):
            shown = f"{value:,}" if type(value) is int else "yes" if value is True else str(value)
            found[_NAMES.get(name, name).replace("_", " ")] = shown
    return found
