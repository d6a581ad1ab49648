"""`tuckshop key hand-out` and `tuckshop key link`: keys, or the links that fetch them, on their way to people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import click

from tuckshop.cli import options
from tuckshop.cli.bulk import PART
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.naming import member_id
from tuckshop.cli.output import clean, note, print_json, print_table
from tuckshop.cli.private_file import create_private, write_rows, write_text
from tuckshop.cli.terminal import counting, waiting
from tuckshop.domain.wording import counted, said_to_be

_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_Made = tuple[Json, RefusedError | None]  # the answer, and what it broke off with


@click.command("hand-out")
@click.option("--group", required=True, metavar="GROUP", help="Name or id of the group.")
@click.option(
    "--member",
    "members",
    multiple=True,
    metavar="MEMBER",
    help="Only this one: external id, or id (mem_…). Repeat.",
)
@click.option(
    "--links", is_flag=True, help="Links that show a key once, for 14 days, in place of keys."
)
@click.option("--all", "to_all", is_flag=True, help="With --links: for those too who have a key.")
@click.option(
    "--reissue",
    is_flag=True,
    help="A new secret for those who have a key. The old ones stop to open.",
)
@click.option(
    "--overlap",
    metavar="TIME",
    help="With --reissue: how long old secrets still open, such as 24h.",
)
@click.option(
    "--reason",
    metavar="WHY",
    help="Where the group hides names: why these are to be told. Audited.",
)
@click.option("--out", type=_FILE, help="Where they go as CSV: a new file, readable by you alone.")
@click.option(
    "--slips", type=_FILE, help="Where they go as a page to print and cut: likewise a new file."
)
@options.as_json
def hand_out(
    group: str,
    members: tuple[str, ...],
    links: bool,
    to_all: bool,
    reissue: bool,
    overlap: str | None,
    reason: str | None,
    out: Path | None,
    slips: Path | None,
    as_json: bool,
) -> None:
    """
    Give each active member of a group a key who has none, as a file, as slips, or as personal links.

    Keys and links are shown only now. Limits, and what was spent, stay as they are. Where the group hides who its
    members are, the rows hold pseudonyms; --reason opens them, for an owner of the group or the operator.

    \b
    Example:
      tuckshop key hand-out --group swa --slips slips.html --out keys.csv
      tuckshop key hand-out --group swa --links --out links.csv
      tuckshop key hand-out --group swa --reissue --overlap 24h --out new-keys.csv
    """
    if links and (reissue or overlap is not None):
        raise click.UsageError("--reissue is for keys; --links --all makes links for everybody.")
    if to_all and not links:
        raise click.UsageError("--all goes with --links; for keys it is --reissue.")
    if overlap is not None and not reissue:
        raise click.UsageError("--overlap is for the secrets that --reissue replaces.")
    if out is not None and out == slips:
        raise click.UsageError("--out and --slips are two files.")
    client = Client.connect()
    body: Json = {}
    if reason is not None:
        body["reason"] = reason
    if members:
        body["members"] = [_member(client, group, one) for one in members]

    def make(some: Json) -> Json:
        if links:
            query = {"all": True} if to_all else {}
            made: Json = client.post("groups", group, "claim-links", body=some, **query)
        else:
            asked = {"reissue": True, "overlap": overlap} if reissue else {}
            made = client.post("groups", group, "keys", body={**some, **asked})
        return made

    what = "Making links" if links else "Making keys"
    parts = _parts(client, group, body.get("members"))
    with waiting(what, hidden=as_json) if parts is None else nullcontext():
        made, broken_off = _kept(
            lambda: (make(body), None) if parts is None else _by_parts(make, parts, what, as_json),
            client,
            out,
            slips,
        )
    if as_json:
        print_json(made)
    else:
        _tell(made, out, slips, links=links, overlap=overlap)
    if broken_off is not None:
        raise RefusedError(
            f"{broken_off.message}\nWhat was made before that was told, or is in the files: it opens. For the others"
            " do it again, into another file."
        ) from broken_off


@click.command("link")
@click.option(
    "--member", required=True, metavar="MEMBER", help="Id (mem_…) or GROUP/EXTERNAL_ID (swa/4711)."
)
@options.as_json
def link(member: str, as_json: bool) -> None:
    """
    Make a link by which a member picks up a key, alone on standard output. It opens once; earlier ones are void.

    Opening it gives the key that an earlier link handed out a new secret.

    \b
    Example:
      tuckshop key link --member swa/4711
    """
    client = Client.connect()
    made = client.post("members", member_id(client, member), "claim-links")
    if as_json:
        print_json(made)
        return
    click.echo(made["url"])
    note(f"For {member} alone, until {made['expires_at'][:10]}. Shown only now.")


def _member(client: Client, group: str, name: str) -> str:
    return name if name.startswith("mem_") else member_id(client, f"{group}/{name}")


def _parts(client: Client, group: str, named: Sequence[str] | None) -> list[list[str]] | None:
    """
    Those to serve, so many to a call that a bar moves; None: they are few, and the server knows them.

    Whoever is paused or archived is left to the server to count.
    """
    if named is None and client.get("groups", group)["worst_case"]["members"] <= PART:
        return None
    if named is None:
        named = [str(one["id"]) for one in client.rows("groups", group, "members")]
    ids = list(named)
    if len(ids) <= PART:
        return None
    return [ids[start : start + PART] for start in range(0, len(ids), PART)]


def _by_parts(
    make: Callable[[Json], Json], parts: Sequence[Sequence[str]], what: str, is_hidden: bool
) -> _Made:
    """All answers as one; if the way breaks after the first, those before it are not lost."""
    all_made: Json = {}
    with counting(what, sum(map(len, parts)), hidden=is_hidden) as more_are_done:
        for part in parts:
            try:
                made = make({"members": list(part)})
            except RefusedError as error:
                if not all_made.get("data"):
                    raise
                return all_made, error
            if all_made:
                all_made["data"] += made["data"]
                all_made["left_out"] += made["left_out"]
            else:
                all_made = made
            more_are_done(len(part))
    return all_made, None


def _kept(make: Callable[[], _Made], client: Client, out: Path | None, slips: Path | None) -> _Made:
    """What *make* answers, in files that were there before it was asked."""
    made_files: list[tuple[Path, IO[str]]] = []
    try:
        for path in (out, slips):
            if path is not None:
                made_files.append((path, create_private(path)))
        made, broken_off = make()
    except RefusedError:
        _undo(made_files)
        raise
    if not made["data"]:
        _undo(made_files)
        return made, broken_off
    address = made["base_url"] or (client.calls_url and f"{client.calls_url.rstrip('/')}/v1")
    if address is not None and urlsplit(address).hostname in _THIS_MACHINE:
        note(
            f"They name {address}, which only this machine reaches. For others: start the server with"
            " TUCKSHOP_PUBLIC_URL, then hand out again with --reissue."
        )
    files = dict(made_files)
    if out is not None:
        write_rows(files[out], out, _rows(made["data"], address))
    if slips is not None:
        write_text(files[slips], slips, _page(made, address))
    return made, broken_off


def _undo(files: Sequence[tuple[Path, IO[str]]]) -> None:
    """Take back files that nothing was written to."""
    for path, file in files:
        file.close()
        path.unlink()


def _rows(data: Sequence[Json], address: str | None) -> list[list[Any]]:
    what = "url" if "url" in data[0] else "key"
    rows: list[list[Any]] = [["external_id", "name", "email", what, "base_url", "expires_at"]]
    return rows + [
        [one["external_id"], one["name"], one["email"], one[what], address, one["expires_at"]]
        for one in data
    ]


def _page(made: Json, address: str | None) -> str:
    # Only here are pages and codes drawn: no other command waits for them to be loaded.
    from tuckshop.web.slips import Slip, slips_page

    return slips_page(
        made["course"],
        address,
        (
            Slip(
                name=one["name"] or "",
                external_id=one["external_id"],
                key=one.get("key"),
                url=one.get("url"),
                expires_on=one["expires_at"] and one["expires_at"][:10],
                models=one["models"],
                limits=one["limits"],
            )
            for one in made["data"]
        ),
    )


def _tell(
    made: Json, out: Path | None, slips: Path | None, *, links: bool, overlap: str | None
) -> None:
    data = made["data"]
    noun = "link" if links else "key"
    if not data:
        how = (
            "--links --all makes links for them too"
            if links
            else "--reissue gives them a new secret"
        )
        note(f"Nobody who is active is without a key. {how[0].upper()}{how[1:]}.")
        return
    if out is None and slips is None:
        what = "url" if links else "key"
        print_table(
            ["external id", "name", what],
            [[one["external_id"], one["name"], one[what]] for one in data],
            expendable=["name"],
        )
    for path in (out, slips):
        if path is not None:
            click.echo(clean(f"{said_to_be(len(data), noun)} in {path}, which only you can read."))
    rotated = sum(one["action"] == "rotated" for one in data)
    if rotated:
        when = f"for {overlap} more" if overlap else "no more"
        are = "is a new secret of a key" if rotated == 1 else "are new secrets of keys"
        was = "was there: the old one opens" if rotated == 1 else "were there: the old ones open"
        note(f"{rotated} of them {are} that {was} {when}.")
    if made["left_out"]:
        left_out = counted(made["left_out"], "member")
        note(f"Left out: {left_out} with a key, or paused or archived.")
