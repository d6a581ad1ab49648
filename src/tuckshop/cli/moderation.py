"""Options that say how calls are checked, of a group and of the workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from tuckshop.cli.client import Json
from tuckshop.cli.options import Command, Decorator

_FIELDS: Final[Mapping[str, str]] = {
    "moderation": "mode",
    "moderation_fail": "fail",
    "moderation_unreadable": "unreadable",
    "moderation_upstream": "upstream",
    "moderation_threshold": "thresholds",
    "moderation_outputs": "outputs",
}
_MODES: Final = click.Choice(["off", "log", "block"])


class Threshold(click.ParamType[tuple[str, float]]):
    """CATEGORY=SCORE."""

    name = "threshold"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        """The category, and the score from which on it counts."""
        category, _, score = str(value).partition("=")
        try:
            return category, float(score)
        except ValueError:
            self.fail(f"{value!r} is not a category and a score, such as violence=0.8", param, ctx)


def moderation_options(command: Command) -> Command:
    """How calls are checked."""
    chosen: tuple[Decorator, ...] = (
        click.option(
            "--moderation-threshold",
            type=Threshold(),
            multiple=True,
            metavar="CATEGORY=SCORE",
            help="From which score on a category counts, such as violence=0.8. Repeat; replaces those there are.",
        ),
        click.option(
            "--moderation-upstream", metavar="NAME", help="The upstream whose moderation is asked."
        ),
        click.option(
            "--moderation-unreadable",
            type=click.Choice(["refuse", "pass"]),
            help="What becomes of what cannot be checked, such as the address of a picture.",
        ),
        click.option(
            "--moderation-fail",
            type=click.Choice(["closed", "open"]),
            help="While the check cannot be had: refuse calls, or let them pass.",
        ),
        click.option(
            "--moderation-outputs",
            type=_MODES,
            help="The same of answers. With block, they are held back until they are checked.",
        ),
        click.option(
            "--moderation",
            type=_MODES,
            help="What becomes of calls that the provider's moderation flags.",
        ),
    )
    for option in chosen:
        command = option(command)
    return command


def gathered(fields: Mapping[str, object], now: Callable[[], Json]) -> dict[str, object]:
    """
    *fields* with the options of checks as the one field that they are.

    Args:
        now: Reads what is in force, which holds for those that are not given.
    """
    said = {
        name: fields[option] for option, name in _FIELDS.items() if fields[option] not in (None, ())
    }
    rest: dict[str, object] = {name: value for name, value in fields.items() if name not in _FIELDS}
    if not said:
        return rest
    if "thresholds" in said:
        said["thresholds"] = dict(said["thresholds"])  # type: ignore[call-overload]  # pairs
    rest["moderation"] = {**now(), **said}
    return rest


def told(moderation: Json) -> list[tuple[str, str]]:
    """How calls are checked, as lines of facts."""
    outputs = moderation.get("outputs", "off")
    if moderation["mode"] == outputs == "off":
        return [("moderation", "off")]
    words = [f"asked: {moderation['mode']}"]
    words += [f"answers: {outputs}"] if outputs != "off" else []
    facts = [("moderation", ", ".join((*words, f"fails {moderation['fail']}")))]
    if "unreadable" in moderation:
        facts.append(("  unreadable", "passes"))
    if "upstream" in moderation:
        facts.append(("  by", moderation["upstream"]))
    facts += [(f"  {name}", f"from {score:g}") for name, score in moderation["thresholds"].items()]
    return facts
