"""The options of a group's `logging`: which bodies are kept, how long, what for, who may read them."""

from __future__ import annotations

from typing import Any, Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Json

_FIELDS: Final = ("bodies", "days", "purpose", "readers")


def logging_options(command: options.Command) -> options.Command:
    """One for each part of the field."""
    for option in (
        click.option(
            "--logging-readers",
            multiple=True,
            type=click.Choice(["viewer", "assistant", "owner"]),
            help="Who may read what is kept, with a reason. Repeat.",
        ),
        click.option("--logging-purpose", metavar="TEXT", help="What it is kept for."),
        click.option(
            "--logging-days", type=click.IntRange(1, 365), help="For how long it is kept."
        ),
        click.option(
            "--logging",
            "logging_bodies",
            type=click.Choice(["off", "flagged", "all"]),
            help="Which prompts and answers are kept. Off deletes those that are.",
        ),
    ):
        command = option(command)
    return command


def take_logging(fields: dict[str, Any]) -> Json:
    """What the options said, taken out of *fields*."""
    said = {name: fields.pop(f"logging_{name}") for name in _FIELDS}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in said.items()
        if value not in (None, ())
    }


def told(logging: Json) -> str:
    """What a group keeps, as a line."""
    if logging["bodies"] == "off":
        return "not kept"
    readers = ", ".join(logging["readers"])
    return (
        f"{logging['bodies']}, {logging['days']} days, for {logging['purpose']}; read by {readers}"
    )
