"""`tuckshop import`: taking over keys, users and teams of another gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import clean, note, print_json
from tuckshop.services.takeover import bricksllm, litellm
from tuckshop.services.takeover.export import Carried, ExportError, Left, Row, rows_of

_FILE_MAX_BYTES: Final = 64 << 20
_NAMED: Final = 5  # of those that a reason is told for
_READERS: Final[Mapping[str, Callable[..., Carried]]] = {
    "bricksllm": bricksllm.read,
    "litellm": litellm.read,
}


@click.command("import")
@click.argument("gateway", type=click.Choice(sorted(_READERS)))
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--group", metavar="NAME", help="The group of what belongs to no team there; else named as it."
)
@click.option("--dry-run", is_flag=True, help="Tell what would happen; change nothing.")
@options.as_json
def import_(
    gateway: str, files: tuple[Path, ...], group: str | None, dry_run: bool, as_json: bool
) -> None:
    """
    Take over teams, users and keys from the exports of another GATEWAY. Their keys go on opening.

    FILEs are what its API lists (JSON) or its tables (CSV). What cannot be carried over is told. Doing it again adds
    what is new and changes nothing that is there.

    \b
    Example:
      tuckshop import litellm keys.json teams.json users.json --dry-run
      tuckshop import bricksllm keys.json --group swa-2026
    """
    carried = _read(gateway, files, group or gateway)
    client = Client.connect()
    report = client.post("takeovers", body=carried.document(), dry_run=dry_run or None)
    if as_json:
        left = [{"what": one.what, "name": one.name, "reason": one.reason} for one in carried.left]
        print_json({**report, "left": left})
    else:
        _print(report, carried.left)
    if report["errors"]:
        raise RefusedError(f"{len(report['errors'])} could not be taken over: see above.")


def _read(gateway: str, files: Iterable[Path], group: str) -> Carried:
    current: list[Path] = []

    def rows() -> Iterator[Row]:
        for path in files:
            current[:] = [path]
            yield from rows_of(_bytes_of(path))

    try:
        return _READERS[gateway](rows(), group=group)
    except ExportError as error:
        raise RefusedError(f"{current[0] if current else gateway} {error}.") from error


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > _FILE_MAX_BYTES:
            raise RefusedError(f"{path} is larger than {_FILE_MAX_BYTES >> 20} MiB.")
        return path.read_bytes()
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}.") from error


def _print(report: Json, left: list[Left]) -> None:
    new = "new" if report["dry_run"] else "taken over"
    for what in ("groups", "members", "keys"):
        counts = report[what]
        told = [f"{counts['new']} {what} {new}"]
        told += [f"{counts['unchanged']} there already"] if counts["unchanged"] else []
        told += [f"{counts['refused']} refused"] if counts["refused"] else []
        click.echo(", ".join(told))
    for error in report["errors"]:
        click.secho(clean(f"! {error['what']} {error['name']}: {error['message']}"), fg="red")
    if left:
        click.secho("Not carried over:", bold=True)
    for (what, reason), names in _grouped(left).items():
        shown = ", ".join(names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        click.echo(clean(f"- {what}: {reason} ({shown}{more})"))
    if report["dry_run"]:
        note("Nothing was changed.")
    elif report["keys"]["new"]:
        note("Its holders change the address alone: their keys open here as they are.")


def _grouped(left: Iterable[Left]) -> dict[tuple[str, str], list[str]]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for one in left:
        grouped.setdefault((one.what, one.reason), []).append(one.name)
    return grouped
