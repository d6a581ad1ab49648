"""Options that several commands share, named like the fields of the API, and how they become the body of a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol, TypeVar

import click

from tuckshop.cli.client import Json

Command = TypeVar("Command", bound=Callable[..., Any])


class Decorator(Protocol):
    """Gives a command an option."""

    def __call__(self, command: Command, /) -> Command: ...


class Dollars(click.ParamType[Decimal]):
    """An amount of US dollars: 0.5, or $0.50."""

    name = "usd"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Exactly as it was written."""
        try:
            return Decimal(str(value).removeprefix("$"))
        except InvalidOperation:
            self.fail(f"{value!r} is not an amount of US dollars such as 0.5", param, ctx)


STATES: Final = ("active", "paused", "archived", "all")
KEY_STATES: Final = ("active", "paused", "revoked", "expired", "archived", "all")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API gives it.")

as_csv = click.option(
    "--csv", "as_csv", is_flag=True, help="Print all rows as CSV, for a file or a spreadsheet."
)


def rows_of_a_span(command: Command) -> Command:
    """Which rows of a long history, how many of them, and in which form."""
    for option in (
        as_json,
        as_csv,
        click.option(
            "--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows at most."
        ),
        click.option("--until", metavar="TIME", help="Before then."),
        click.option(
            "--since", metavar="TIME", help="From then on: a day, or 2026-11-01T00:00:00Z."
        ),
    ):
        command = option(command)
    return command


def state_option(states: tuple[str, ...] = STATES) -> Decorator:
    """Which rows of a list."""
    return click.option(
        "--state",
        type=click.Choice(states),
        help="Only these; without it, all but archived ones.",
    )


def limit_options(*fields: tuple[str, str]) -> Decorator:
    """An option for each list of limits: (field, whose they are)."""

    def decorate(command: Command) -> Command:
        for field, whose in reversed(fields):
            command = click.option(
                f"--{field}",
                multiple=True,
                metavar="LIMIT",
                help=f"A limit {whose}, such as '$0.20/month' or '35 requests/minute'. Repeat.",
            )(command)
        return command

    return decorate


def allow_options(command: Command) -> Command:
    """Models, endpoints and output cap: what groups, members and keys have in common."""
    for option in (
        click.option(
            "--max-output-tokens", type=click.IntRange(1), help="The most tokens of one answer."
        ),
        click.option(
            "--endpoints",
            multiple=True,
            metavar="GLOB",
            help="Endpoint groups that may be called, such as chat. Repeat.",
        ),
        click.option(
            "--models",
            multiple=True,
            metavar="GLOB",
            help="Models that may be used, such as 'gpt-4o*'. Repeat.",
        ),
    ):
        command = option(command)
    return command


def empty_option(*lists: str) -> Decorator:
    """`--empty FIELD` makes an allow-list allow nothing."""
    return click.option(
        "--empty",
        multiple=True,
        type=click.Choice(lists),
        help="An allow-list that is to allow nothing. Repeat.",
    )


def unset_option(*fields: str) -> Decorator:
    """`--unset FIELD` puts a field back to its default."""
    return click.option(
        "--unset",
        multiple=True,
        type=click.Choice(fields),
        metavar="FIELD",
        help="A field that goes back to its default (no restriction, no limits): "
        + ", ".join(fields)
        + ". Repeat.",
    )


def body_of(
    options: Mapping[str, object], *, unset: tuple[str, ...] = (), empty: tuple[str, ...] = ()
) -> Json:
    """
    The body that *options* state: those not given are left out.

    Raises:
        click.UsageError: A field is stated in two ways.
    """
    body: Json = {}
    for field, value in options.items():
        if isinstance(value, tuple):
            if value:
                body[field] = list(value)
        elif value is not None:
            body[field] = value
    for field, value in (*((name, None) for name in unset), *((name, []) for name in empty)):
        if field in body:
            raise click.UsageError(f"{field} is stated twice: by its option, --unset or --empty.")
        body[field] = value
    return body


def change_of(
    options: Mapping[str, object], *, unset: tuple[str, ...], empty: tuple[str, ...]
) -> Json:
    """
    The same for an edit, which must change something.

    Raises:
        click.UsageError: Nothing is to be changed, or a field is stated in two ways.
    """
    body = body_of(options, unset=unset, empty=empty)
    if not body:
        raise click.UsageError("Say what to change: see --help.")
    return body
