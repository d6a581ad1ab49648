"""`tuckshop member import`: a roster file into a group, and keys out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import clean, folded, note, print_json, print_keys
from tuckshop.cli.private_file import create_private, write_rows
from tuckshop.cli.terminal import is_watched, waiting
from tuckshop.domain.wording import said_to_be

_FILE_MAX_BYTES: Final = 4 << 20
_SHOWN_MISSING: Final = 10
_SHOWN_ROWS: Final = 10
_SIGNS: Final = {"new": "+", "known": " ", "changed": "~", "revived": "^", "unchanged": " "}
_COLOURS: Final = {"new": "green", "changed": "yellow", "revived": "cyan"}
_WORDS: Final = {
    "new": "new",
    "known": "in the group already",
    "changed": "to change",
    "revived": "to come back from the archive",
    "unchanged": "as they are",
}
_DONE: Final = {**_WORDS, "changed": "changed", "revived": "back from the archive"}


@click.command("import")
@click.argument("roster", type=click.Path(path_type=Path))
@click.option("--group", required=True, metavar="GROUP", help="Name or id of the group.")
@click.option(
    "--dry-run", is_flag=True, help="Tell what would happen, line by line; change nothing."
)
@click.option(
    "--id-column",
    metavar="NAME",
    help="The column of the external id, if the header leaves a choice.",
)
@click.option(
    "--as-new", is_flag=True, help="The people who look new, or respelled, are new to the group."
)
@click.option(
    "--pause-missing", is_flag=True, help="Pause who is active in the group and not in the file."
)
@click.option(
    "--issue-keys", is_flag=True, help="Give each that has no active key one, shown only now."
)
@click.option(
    "--reissue",
    is_flag=True,
    help="With --issue-keys: give the others a new secret. The old ones stop to open.",
)
@click.option(
    "--overlap",
    metavar="TIME",
    help="With --reissue: how long old secrets still open, such as 24h.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the keys go, as CSV: a new file, readable by you alone.",
)
@options.as_json
def import_(
    roster: Path,
    group: str,
    dry_run: bool,
    id_column: str | None,
    as_new: bool,
    pause_missing: bool,
    issue_keys: bool,
    reissue: bool,
    overlap: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """
    Add or update members from ROSTER, the CSV file of a learning platform or a spreadsheet.

    Doing it again changes nothing. Who has left is told, and paused only if asked for; nobody is deleted.

    \b
    Example:
      tuckshop member import roster.csv --group swa --dry-run
      tuckshop member import roster.csv --group swa --issue-keys --out keys.csv
    """
    if out is not None and not issue_keys:
        raise click.UsageError("--out is for the keys of --issue-keys.")
    if reissue and not issue_keys:
        raise click.UsageError("--reissue goes with --issue-keys.")
    if overlap is not None and not reissue:
        raise click.UsageError("--overlap is for the secrets that --reissue replaces.")
    if dry_run and (issue_keys or as_new or pause_missing):
        raise click.UsageError(
            "--dry-run changes nothing: say the others when it is done in earnest."
        )
    raw = _read(roster)
    client = Client.connect()
    path = ("groups", group, "members")
    if dry_run:
        preview = client.post_csv(*path, "preview", data=raw, id_column=id_column)
        if as_json:
            print_json(preview)
        else:
            _print_preview(preview)
        return
    query = {
        "id_column": id_column,
        "issue_keys": issue_keys or None,
        "reissue": reissue or None,
        "overlap": overlap,
        "as_new": as_new or None,
        "pause_missing": pause_missing or None,
    }
    so_far = None
    if is_watched() and not as_json:
        so_far = _growth(
            client, group, client.post_csv(*path, "preview", data=raw, id_column=id_column)
        )
    with waiting("Taking the roster in", hidden=as_json, so_far=so_far):
        if out is None:
            taken = client.make_of_csv(*path, data=raw, **query)
        else:
            taken = _with_keys_kept(
                out, client, lambda: client.make_of_csv(*path, data=raw, **query)
            )
    if as_json:
        print_json(taken)
    else:
        _print_taken(taken, issue_keys=issue_keys, out=out)
    if taken["errors"]:
        raise RefusedError("\n".join(map(_failure, taken["errors"])))


def _growth(client: Client, group: str, preview: Json) -> Callable[[], str] | None:
    """How many of those who are new are in, for whoever waits; None: nobody is new."""
    total = sum(row["action"] in ("new", "revived") for row in preview["rows"])
    if not total:
        return None

    def members() -> int:
        return int(client.get("groups", group)["worst_case"]["members"])

    before, last = members(), 0

    def told() -> str:
        nonlocal last
        with suppress(
            RefusedError
        ):  # only to be looked at: what becomes of the import is told by its answer
            last = max(last, min(total, members() - before))
        return f"{last:,} of {total:,} are in"

    return told


def _with_keys_kept(path: Path, client: Client, issue: Callable[[], Json]) -> Json:
    """What *issue* answers, its keys in a file that was there before they were."""
    out = create_private(path)
    try:
        taken = issue()
    except RefusedError:
        out.close()
        path.unlink()
        raise
    address = "" if client.calls_url is None else f"{client.calls_url.rstrip('/')}/v1"
    rows: list[list[Any]] = [["external_id", "name", "email", "key", "base_url"]]
    rows += [
        [one["external_id"], one["name"], one["email"], one["key"], address]
        for one in taken["data"]
        if "key" in one
    ]
    write_rows(out, path, rows)
    return taken


def _read(roster: Path) -> bytes:
    try:
        raw = roster.read_bytes()
    except OSError as error:
        raise RefusedError(f"{roster} cannot be read: {error.strerror}.") from error
    if len(raw) > _FILE_MAX_BYTES:
        raise RefusedError(
            f"{roster} is larger than {_FILE_MAX_BYTES >> 20} MiB: send it in parts."
        )
    return raw


def _print_preview(preview: Json) -> None:
    columns = ", ".join(f"{name} as {field}" for field, name in preview["columns"].items())
    click.echo(clean(f"Read: {columns}"))
    if preview["ignored"]:
        click.echo(clean(f"Ignored: {', '.join(preview['ignored'])}"))
    for row in preview["rows"]:
        click.secho(folded(clean(_row_told(row)), indent=9), fg=_COLOURS.get(row["action"]))
    for error in preview["errors"]:
        click.secho(f"! {_failure(error)}", fg="red")
    for question in preview["questions"]:
        click.secho(clean(f"? {question}"), fg="magenta")
    told = _counts(Counter(row["action"] for row in preview["rows"]), _WORDS).removeprefix(": ")
    if preview["errors"]:
        told += f"{', ' if told else ''}{len(preview['errors'])} with problems"
    click.secho(told or "No rows", bold=True)
    _print_missing(preview["missing"], preview["missing_count"])
    note("Nothing was changed.")


def _print_taken(taken: Json, *, issue_keys: bool, out: Path | None) -> None:
    members = taken["data"]
    issued = [one for one in members if "key" in one]
    if issue_keys and out is None and members:
        print_keys(members)
    else:
        told = said_to_be(taken.get("count", len(members)), "member")
        click.echo(f"{told} in{_counts(taken['counts'], _DONE)}.")
    changed = taken["changed"]
    for row in changed[:_SHOWN_ROWS]:
        click.secho(folded(clean(_row_told(row)), indent=9), fg=_COLOURS.get(row["action"]))
    if len(changed) > _SHOWN_ROWS:
        click.echo(f"  and {len(changed) - _SHOWN_ROWS} more; all of them: --json")
    if out is not None:
        click.echo(clean(f"{said_to_be(len(issued), 'key')} in {out}, which only you can read."))
    _print_missing(taken["missing"], taken.get("missing_count"))


def _print_missing(missing: list[Json], count: int | None) -> None:
    """Who they are; of a group that hides it, only how many."""
    if not (missing or count):
        return
    click.echo(f"In the group, not in the file: {count or len(missing)}")
    for one in missing[:_SHOWN_MISSING]:
        click.echo(clean(f"- {one['external_id']}  {one['name'] or ''} ({one['state']})"))
    if len(missing) > _SHOWN_MISSING:
        click.echo(f"  and {len(missing) - _SHOWN_MISSING} more; all of them: --json")
    if not missing or any(one["state"] == "active" for one in missing):
        note("They can go on. --pause-missing pauses them.")


def _counts(counts: Mapping[str, int], words: Mapping[str, str]) -> str:
    """``: 3 new, 2 changed``; nothing where there are none."""
    told = [f"{counts[action]:,} {word}" for action, word in words.items() if counts.get(action)]
    return f": {', '.join(told)}" if told else ""


def _row_told(row: Json) -> str:
    """What becomes of a line: ``~     4  4711  Ada Lovelace (name: Ada Byron → Ada Lovelace)``."""
    changes = [
        f"{field}: {row['before'][field] or 'none'} → {row['after'][field] or 'none'}"
        if field in row["before"]
        else field
        for field in row["changes"]
    ]
    line = f"{_SIGNS[row['action']]} {row['line']:>5}  {row['external_id']}  {row['name'] or ''}"
    return line.rstrip() + (f" ({', '.join(changes)})" if changes else "")


def _failure(error: Json) -> str:
    field = f"{error['field']} " if error["field"] else ""
    return clean(f"line {error['line']}: {field}{error['message']}")
