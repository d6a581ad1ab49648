"""One thing done to many keys or members: found by options, counted first, done part by part."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.naming import names_of
from tuckshop.cli.output import clean, note, print_json, print_table
from tuckshop.cli.terminal import counting
from tuckshop.domain.wording import counted

Kind = Literal["keys", "members"]

PART: Final = 100  # to a call, so that the bar moves and what was done is known if the way breaks
DONE: Final[Mapping[str, str]] = {
    "pause": "paused",
    "resume": "resumed",
    "revoke": "revoked",
    "archive": "archived",
    "reset": "reset",
    "rotate": "rotated",
}
_FILTERS: Final = (
    *("group", "member", "tags", "name", "external_id", "state"),
    *("last_used_before", "taken_from"),
)


def key_filter(command: options.Command) -> options.Command:
    """Which keys, where none is named."""
    return _with(
        command,
        *_SHARED_BEFORE,
        click.option("--member", metavar="MEMBER", help="Those of this member."),
        click.option("--tag", "tags", multiple=True, metavar="WORD", help="With this tag. Repeat."),
        click.option("--name", metavar="GLOB", help="Called so, such as 'ci-*'."),
        click.option("--state", type=click.Choice(options.KEY_STATES[:-1]), help="In this state."),
        click.option("--taken-from", metavar="GATEWAY", help="Taken over from there: litellm."),
        *_SHARED_AFTER,
    )


def member_filter(command: options.Command) -> options.Command:
    """Which members, where none is named."""
    return _with(
        command,
        *_SHARED_BEFORE,
        click.option("--external-id", metavar="GLOB", help="Called so, such as 'ws26-*'."),
        click.option("--state", type=click.Choice(options.STATES[:-1]), help="In this state."),
        *_SHARED_AFTER,
    )


_SHARED_BEFORE: Final = (click.option("--group", metavar="GROUP", help="Those of this group."),)
_SHARED_AFTER: Final = (
    click.option(
        "--last-used-before", metavar="TIME", help="That did not call since: a day, or a time."
    ),
    click.option("--all", "everything", is_flag=True, help="All there are."),
    click.option("--dry-run", is_flag=True, help="Tell what would happen; change nothing."),
    click.option("--yes", is_flag=True, help="Do not ask, also where it cannot be undone."),
)


def _with(command: options.Command, *decorators: options.Decorator) -> options.Command:
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


class Chosen:
    """What a command was told to do it to: names, or a filter."""

    def __init__(self, kind: Kind, names: Sequence[str], told: Mapping[str, object]) -> None:
        """
        *told* are the options of the filter.

        Raises:
            click.UsageError: Neither, or both.
        """
        self.kind = kind
        self.filter: Json = {
            field: list(value) if isinstance(value, tuple) else value
            for field in _FILTERS
            if (value := told.get(field)) not in (None, ())
        }
        self.everything = bool(told["everything"])
        self.dry_run = bool(told["dry_run"])
        self.is_sure = bool(told["yes"])
        self.names = list(names)
        one = kind.removesuffix("s").upper()
        if bool(names) + bool(self.filter) + self.everything > 1:
            raise click.UsageError(
                f"Name {one}s, or find them by options, or say --all: one of it."
            )
        if not (names or self.filter or self.everything):
            raise click.UsageError(
                f"Name a {one}, or find them by options such as --group (see --help), or say --all."
            )

    @property
    def single(self) -> str | None:
        """The one name, where it is to be done to that one alone."""
        return self.names[0] if len(self.names) == 1 and not self.dry_run else None


def carry_out(
    client: Client,
    chosen: Chosen,
    action: str,
    *,
    ids: Sequence[str] = (),
    is_final: bool = False,
    **extra: object,
) -> Iterator[Json]:
    """
    Do *action* to all that was *chosen*; yields what came of each as soon as it is done.

    Args:
        ids: Of what was named.
        is_final: It cannot be undone: ask before.
        extra: Further fields of the call.
    Raises:
        RefusedError: The server refuses it, or nobody is sure.
    """
    body: Json = {"action": action, **{k: v for k, v in extra.items() if v not in (None, False)}}
    asked = {chosen.kind: list(ids)} if ids else chosen.filter
    found = client.post(
        chosen.kind,
        "bulk",
        body={**body, "filter": asked, "all": chosen.everything, "dry_run": True},
    )
    todo = [row["id"] for row in found["data"] if row["result"] == "done"]
    yield from (row for row in found["data"] if chosen.dry_run or row["result"] != "done")
    if chosen.dry_run or not todo:
        return
    if is_final and not chosen.is_sure:
        many = counted(len(todo), chosen.kind.removesuffix("s"))
        ask(f"{many} will be {DONE[action]}, which cannot be undone. Go on?")
    with counting(DONE[action].capitalize(), len(todo)) as more_are_done:
        for start in range(0, len(todo), PART):
            part = todo[start : start + PART]
            done = client.post(chosen.kind, "bulk", body={**body, "filter": {chosen.kind: part}})
            yield from done["data"]
            more_are_done(len(part))


def tell(
    client: Client, chosen: Chosen, action: str, rows: Sequence[Json], *, as_json: bool
) -> None:
    """Say what was done, or would be."""
    counts = Counter(row["result"] for row in rows)
    if as_json:
        print_json(
            {
                "action": action,
                "dry_run": chosen.dry_run,
                "matched": len(rows),
                **{name: counts[name] for name in ("done", "unchanged", "skipped")},
                "data": list(rows),
            }
        )
        return
    if chosen.dry_run and rows:
        names = names_of(client, (row["member"] for row in rows))
        print_table(
            ["member", "id", "would be"],
            [
                [names.get(row["member"], row["member"]), row["id"], _becomes(action, row)]
                for row in rows
            ],
            whole=frozenset({"id"}),
        )
    would = "would be " if chosen.dry_run else ""
    told = [f"{counts['done']} {would}{DONE[action]}"]
    told += (
        [f"{counts['unchanged']} {'is' if counts['unchanged'] == 1 else 'are'} so already"]
        if counts["unchanged"]
        else []
    )
    told += [
        f"{number} skipped ({reason})"
        for reason, number in Counter(
            row["reason"] for row in rows if row["result"] == "skipped"
        ).items()
    ]
    click.echo(clean(", ".join(told) if rows else f"There are no such {chosen.kind}."))
    if chosen.dry_run:
        note("Nothing was changed.")


def _becomes(action: str, row: Json) -> str:
    if row["result"] == "done":
        return DONE[action]
    return "as it is" if row["result"] == "unchanged" else f"skipped: {row['reason']}"


def ask(question: str, *, can_ask: bool = True) -> None:
    """
    Go on only if somebody at a terminal says yes.

    Raises:
        RefusedError: They say no, or nobody can be asked.
    """
    if not can_ask or not sys.stdin.isatty():
        raise RefusedError(f"{question.removesuffix(' Go on?')} Say --yes.")
    if not click.confirm(question, err=True):
        raise RefusedError("Nothing was changed.")
