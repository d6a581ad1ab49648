"""`tuckshop group export`: groups as a file that `tuckshop apply` takes."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from tuckshop.cli import options
from tuckshop.cli.apply import groups_now
from tuckshop.cli.client import Client, RefusedError
from tuckshop.cli.output import clean, note, print_json
from tuckshop.cli.private_file import create_private, write_rows
from tuckshop.system_clock import SystemClock

if TYPE_CHECKING:
    from tuckshop.cli.course_file.plan import GroupNow

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT: Final = "it may hold what nobody has elsewhere"


@click.command("export")
@click.argument("name", nargs=-1, required=True)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where it goes: a new file, readable by you alone. Without it, standard output.",
)
@click.option(
    "--roster",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ids, names and addresses go into this CSV file, also new, and the other file names it. Of one group.",
)
@options.as_json
def export(name: tuple[str, ...], out: Path | None, roster: Path | None, as_json: bool) -> None:
    """
    Write the groups NAME … (policy and members) as a file that `tuckshop apply` takes.

    Everything that is not at its default is in it; keys, use and archived members are not. It holds names and
    addresses: personal data, which belongs in no public repository. --roster keeps them apart from the policy.

    \b
    Example:
      tuckshop group export swa -o course.toml
      tuckshop group export swa -o course.toml --roster roster.csv
      tuckshop group export swa > course.toml
    """
    # Only here: as with `apply`.
    from tuckshop.cli.course_file.writing import course_text, roster_rows

    if as_json and (out is not None or roster is not None):
        raise click.UsageError("--json is for standard output.")
    if roster is not None and len(name) > 1:
        raise click.UsageError("--roster is for one group.")
    client = Client.connect()
    names = [str(client.get("groups", one)["name"]) for one in dict.fromkeys(name)]
    found = groups_now(client, names)
    untold = [one for one in names if not _is_notify_told(client, found, one)]
    hiding = [one for one in names if found[one].hides_names]
    if hiding and roster is not None:
        raise RefusedError(
            f"{hiding[0]} shows pseudonyms in place of its members: leave --roster out."
        )
    at = _EPOCH + timedelta(microseconds=SystemClock().now_us())
    comments = [
        f"{', '.join(names)}: as {client.url} had it on {at:%Y-%m-%d %H:%M} UTC.",
        "Keys, use and archived members are not in it. It is taken by: tuckshop apply FILE",
    ]
    if untold:
        comments.append(
            f"Who is mailed is not in it: the token may not see that of {', '.join(untold)}."
        )
    if hiding:
        comments.append(f"Pseudonyms stand for the members of {', '.join(hiding)}: none is in it.")
    named = None if roster is None else _beside(roster, out)
    text = course_text([found[one] for one in names], comments=comments, roster=named)
    if as_json:
        print_json(tomllib.loads(text))
        return
    if out is None and roster is None:
        click.echo(text, nl=False)
        return
    file = None if out is None else create_private(out, why=_KEPT)
    if roster is not None:
        try:
            rows = create_private(roster, why=_KEPT)
        except RefusedError:
            if file is not None and out is not None:
                file.close()
                out.unlink()
            raise
        write_rows(rows, roster, roster_rows(found[names[0]]))
        note(f"The members are in {roster}, which only you can read.")
    if file is None or out is None:
        click.echo(text, nl=False)
    else:
        _write(file, out, text)
        note(f"Written to {out}, which only you can read.")


def _is_notify_told(client: Client, found: dict[str, GroupNow], name: str) -> bool:
    """Put into *found* who is mailed of what happens in a group; False: the token is not told."""
    try:
        mailed = client.get("groups", str(found[name].shape["id"]), "notify")
    except RefusedError as error:
        if error.status != 403:
            raise
        return False
    found[name] = replace(found[name], notify=mailed)
    return True


def _write(file: IO[str], path: Path, text: str) -> None:
    try:
        with file:
            file.write(text)
    except OSError as error:
        raise RefusedError(clean(f"{path} cannot be written: {error.strerror}.")) from error


def _beside(roster: Path, out: Path | None) -> str:
    """How the course file names the roster: from where it stands itself."""
    return os.path.relpath(roster, "." if out is None else out.parent)
