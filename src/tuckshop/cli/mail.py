"""`tuckshop mail`: links by mail, and the queue of mails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.naming import member_id, names_of
from tuckshop.cli.output import as_list, clean, note, print_json, print_table, stamp, when
from tuckshop.cli.terminal import counting

STATES: Final = ("queued", "sending", "sent", "failed", "unknown", "cancelled")
KINDS: Final = ("invite", "rotated", "claimed", "paused", "test", "notice", "budget")
SHOWN_MAX: Final = 20


def text_options(command: options.Command) -> options.Command:
    """To whom, and in which words."""
    for option in (
        click.option(
            "--again", is_flag=True, help="Also to whom an invitation went, or who has a key."
        ),
        click.option(
            "--language", type=click.Choice(["en", "de"]), help="Of our own text; default: as set."
        ),
        click.option(
            "--template",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="An own text: a line 'Subject: …', then the text, with {name}, {link} …",
        ),
        click.option(
            "--to-member",
            "members",
            multiple=True,
            metavar="MEMBER",
            help="Only to this member (mem_… or an external id of the group). Repeat.",
        ),
        click.option("--group", required=True, metavar="GROUP", help="Whose members."),
    ):
        command = option(command)
    return command


@click.group()
def mail() -> None:
    """
    Links by mail, and the queue of mails.

    \b
    Example:
      tuckshop mail test me@example.org
      tuckshop mail invite --group swa --dry-run
      tuckshop mail invite --group swa
    """


@mail.command()
@text_options
@click.option("--dry-run", is_flag=True, help="Only tell who would get one, and who not.")
@options.as_json
def invite(
    group: str,
    members: tuple[str, ...],
    template: Path | None,
    language: str | None,
    again: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Mail members of a group a link by which each picks their key up.

    Who has a key, or was invited before, gets none, unless --again. Mails go out at the pace of the settings; the link
    is made when its mail is sent, and an earlier one is void from then on.

    \b
    Example:
      tuckshop mail invite --group swa --dry-run
      tuckshop mail invite --group swa --template invitation.txt
      tuckshop mail invite --group swa --to-member 4711 --again
    """
    _order("invite", group, members, template, language, again, dry_run, as_json)


@mail.command()
@text_options
@click.option("--dry-run", is_flag=True, help="Only tell who would get one, and who not.")
@options.as_json
def rotated(
    group: str,
    members: tuple[str, ...],
    template: Path | None,
    language: str | None,
    again: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Mail members of a group a link to a new key, in the words for people who have one already.

    Opening it gives the key that an earlier link handed out a new secret; until then the old one opens.

    \b
    Example:
      tuckshop mail rotated --group swa --to-member 4711
    """
    _order("rotated", group, members, template, language, again, dry_run, as_json)


@mail.command()
@text_options
@click.option(
    "--kind",
    type=click.Choice(["invite", "rotated"]),
    default="invite",
    show_default=True,
    help="Which mail.",
)
@options.as_json
def preview(
    group: str,
    members: tuple[str, ...],
    template: Path | None,
    language: str | None,
    again: bool,
    kind: str,
    as_json: bool,
) -> None:
    """
    Show the first of the mails as it would be sent, with a link that opens nothing.

    \b
    Example:
      tuckshop mail preview --group swa --template invitation.txt
    """
    client = Client.connect()
    body = _body(client, kind, group, members, template, language, again)
    shown = client.post("groups", group, "mail", "preview", body=body)
    if as_json:
        print_json(shown)
        return
    for name, value in (
        ("From", shown["sender"]),
        ("To", shown["to"]),
        ("Subject", shown["subject"]),
    ):
        click.echo(f"{name}: {clean(value)}")
    click.echo()
    for line in str(shown["text"]).splitlines():
        click.echo(clean(line))


@mail.command()
@click.argument("address")
@options.as_json
def test(address: str, as_json: bool) -> None:
    """
    Send a test mail to ADDRESS, and tell what came of it.

    \b
    Example:
      tuckshop mail test me@example.org
    """
    sent = Client.connect().post("mail", "test", body={"to": address})
    if as_json:
        print_json(sent)
    if sent["state"] != "sent":
        raise RefusedError(
            f"The mail to {clean(address)} is {sent['state']}: {clean(sent['told'])}"
        )
    if not as_json:
        note(f"The mail server took it: {sent['told']}. Look whether it arrives, and where.")


@mail.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only these.")
@click.option("--kind", type=click.Choice(KINDS), help="Only of this kind.")
@click.option("--group", metavar="GROUP", help="Only to members of this group.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows at most."
)
@options.as_json
def list_(
    state: str | None, kind: str | None, group: str | None, limit: int, as_json: bool
) -> None:
    """
    List mails, newest first, and tell how the queue stands.

    \b
    Example:
      tuckshop mail list --state failed
    """
    client = Client.connect()
    query = {"state": state, "kind": kind, "group": group}
    found = list(client.rows("mail", limit=limit, **query))
    if as_json:
        print_json(as_list(found))
        return
    stands = client.get("mail", **query, limit=1)
    if found:
        names = names_of(client, (one["member"] for one in found if one["member"]))
        print_table(
            ["at (UTC)", "kind", "to", "member", "state", "told", "id"],
            [
                [
                    stamp(one["tried_at"] or one["queued_at"]),
                    *(one["kind"], one["to"], names.get(one["member"], one["member"])),
                    *(one["state"], one["told"], one["id"]),
                ]
                for one in found
            ],
            whole=frozenset({"id", "at (UTC)"}),
            expendable=["told"],
        )
    counts = ", ".join(f"{count:,} {name}" for name, count in stands["counts"].items())
    told = f"{counts or 'There are no mails'}."
    if stands["last_day"] is not None:  # a sum over all groups: not for staff of some
        told += f" In the last 24 hours {stands['last_day']:,} of {stands['per_day']:,} were sent."
    note(told)
    if stands["trouble"] is not None:
        note(f"No mails are sent for now: {stands['trouble']}")


@mail.command()
@click.argument("mails", nargs=-1, metavar="[MAIL]…")
@click.option("--group", metavar="GROUP", help="All to members of this group …")
@click.option(
    "--state",
    type=click.Choice(["failed", "unknown", "cancelled"]),
    help="… that are in this state.",
)
@options.as_json
def retry(mails: tuple[str, ...], group: str | None, state: str | None, as_json: bool) -> None:
    """
    Put mails that failed, were cancelled or are unknown back into the queue, to the address their member has now.

    Of a mail that is unknown nobody can tell whether it arrived: its member may get a second one, with a link that
    voids the first.

    \b
    Example:
      tuckshop mail retry --group swa --state failed
    """
    if (group is None) != (state is None):
        raise click.UsageError("--group and --state go together: all of the group in this state.")
    _each("retry", mails, group, state, as_json)


@mail.command()
@click.argument("mails", nargs=-1, metavar="[MAIL]…")
@click.option("--group", metavar="GROUP", help="All that wait for members of this group.")
@options.as_json
def cancel(mails: tuple[str, ...], group: str | None, as_json: bool) -> None:
    """
    Take mails that wait out of the queue.

    \b
    Example:
      tuckshop mail cancel --group swa
    """
    _each("cancel", mails, group, "queued", as_json)


def _order(
    kind: str,
    group: str,
    members: tuple[str, ...],
    template: Path | None,
    language: str | None,
    again: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    client = Client.connect()
    body = _body(client, kind, group, members, template, language, again)
    told = client.post("groups", group, "mail", body=body | {"dry_run": dry_run})
    if as_json:
        print_json(told)
        return
    skipped: list[Json] = told["data"]
    if skipped:
        print_table(
            ["external id", "gets none, as it"],
            [[one["external_id"], one["message"]] for one in skipped[:SHOWN_MAX]],
        )
        if told["skipped"] > SHOWN_MAX:
            note(f"and {told['skipped'] - SHOWN_MAX:,} more")
    if dry_run:
        note(f"{told['mails']:,} mails would be sent, {told['skipped']:,} not. Nothing was done.")
    elif told["mails"]:
        note(
            f"{told['mails']:,} mails are queued, the last goes out about {when(told['last_at'])}."
            " Watch them: tuckshop mail list"
        )
    else:
        note("Nobody is written to.")


def _body(
    client: Client,
    kind: str,
    group: str,
    members: tuple[str, ...],
    template: Path | None,
    language: str | None,
    again: bool,
) -> Json:
    body: Json = {"kind": kind, "again": again}
    if members:
        body["members"] = [
            member_id(client, name if name.startswith("mem_") else f"{group}/{name}")
            for name in (one.removeprefix(f"{group}/") for one in members)
        ]
    if template is not None:
        try:
            body["template"] = template.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RefusedError(f"{template} cannot be read: {error}.") from error
    if language is not None:
        body["language"] = language
    return body


def _each(
    verb: str, mails: tuple[str, ...], group: str | None, state: str | None, as_json: bool
) -> None:
    if bool(mails) == (group is not None):
        raise click.UsageError("Name the mails (mai_…), or a group by --group.")
    client = Client.connect()
    done = list(_done(client, verb, mails, group, state))
    if as_json:
        print_json(as_list(done))
    else:
        note(f"Mails {'queued again' if verb == 'retry' else 'cancelled'}: {len(done):,}.")


def _done(
    client: Client, verb: str, mails: tuple[str, ...], group: str | None, state: str | None
) -> Iterator[Json]:
    for id_ in mails:
        yield client.post("mail", id_, verb)
    if group is None:
        return
    found = list(client.rows("mail", group=group, state=state))
    with counting("Queued again" if verb == "retry" else "Cancelled", len(found)) as more_are_done:
        for one in found:
            try:
                yield client.post("mail", str(one["id"]), verb)
            except RefusedError as error:  # sent meanwhile, or nobody to go to: the others go on
                note(f"{one['to']}: {error.message}")
            more_are_done(1)
