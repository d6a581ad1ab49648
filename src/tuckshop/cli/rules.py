"""The options of a group's `rules`: what its calls must be like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Json
from tuckshop.domain.rules.rules import PII_ACTIONS, PII_KINDS
from tuckshop.domain.wording import counted

_LISTS: Final = ("deny_words", "deny_patterns", "tools", "hours", "networks")
_FIELDS: Final = (*_LISTS, "pii", "max_input_tokens", "system_prompt")
_PROMPT: Final = ("system_prompt", "system_prompt_file", "system_prompt_mode")
_LONG: Final = 60


def _pii(
    context: click.Context, option: click.Parameter, value: tuple[str, ...]
) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for one in value:
        kind, _, action = one.partition("=")
        if kind not in PII_KINDS or action not in PII_ACTIONS:
            raise click.BadParameter(
                f"{one!r} is not KIND=ACTION: {', '.join(PII_KINDS)} and {', '.join(PII_ACTIONS)}"
            )
        found[kind] = action
    return found or None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error


def rules_options(command: options.Command) -> options.Command:
    """One for each rule."""
    file = click.Path(path_type=Path, dir_okay=False)
    for option in (
        click.option(
            "--rules-unset",
            multiple=True,
            type=click.Choice(_FIELDS),
            metavar="RULE",
            help="A rule that is taken back: " + ", ".join(_FIELDS) + ". Repeat.",
        ),
        click.option(
            "--rules-empty",
            multiple=True,
            type=click.Choice(["tools", "hours", "networks"]),
            help="A list that is to allow nothing. Repeat.",
        ),
        click.option(
            "--rules-networks",
            multiple=True,
            metavar="CIDR",
            help="Calls come from these networks only, such as 10.0.0.0/8. Repeat.",
        ),
        click.option(
            "--rules-hours",
            multiple=True,
            metavar="HOURS",
            help="Calls are open then only, such as 'Mon-Fri 08:00-18:00'. Repeat.",
        ),
        click.option(
            "--rules-system-prompt-mode",
            type=click.Choice(["prepend", "enforce"]),
            help="Enforce: the client has no system messages of its own.",
        ),
        click.option(
            "--rules-system-prompt-file",
            type=file,
            help="The same, read from a file.",
        ),
        click.option(
            "--rules-system-prompt",
            metavar="TEXT",
            help="What the model is told before all that the client says.",
        ),
        click.option(
            "--rules-max-input-tokens",
            type=click.IntRange(1),
            help="The most input tokens of one call.",
        ),
        click.option(
            "--rules-tools",
            multiple=True,
            metavar="GLOB",
            help="Tools that may be offered, by name. Repeat.",
        ),
        click.option(
            "--rules-pii",
            multiple=True,
            metavar="KIND=ACTION",
            callback=_pii,
            help=f"What becomes of personal data: {', '.join(PII_KINDS)}; {', '.join(PII_ACTIONS)}. Repeat.",
        ),
        click.option(
            "--rules-deny-patterns",
            multiple=True,
            metavar="RE2",
            help="What may not match anywhere in a call. Needs tuckshop[re2] on the server. Repeat.",
        ),
        click.option(
            "--rules-deny-words-file",
            type=file,
            help="The same, read from a file with one in each line.",
        ),
        click.option(
            "--rules-deny-words",
            multiple=True,
            metavar="WORD",
            help="A word, or a few in a row, that may not stand in a call. Repeat.",
        ),
    ):
        command = option(command)
    return command


def gathered(fields: Mapping[str, Any], now: Callable[[], Json]) -> dict[str, Any]:
    """
    *fields* with the one field that the options about rules make together.

    Args:
        now: The rules there are: what is not named of them stays.
    Raises:
        click.UsageError: One is stated in two ways.
    """
    said = {
        name.removeprefix("rules_"): value
        for name, value in fields.items()
        if name.startswith("rules_") and value not in (None, ())
    }
    others = {name: value for name, value in fields.items() if not name.startswith("rules_")}
    if not said:
        return others
    unset, empty = said.pop("unset", ()), said.pop("empty", ())
    if "deny_words_file" in said:
        lines = map(str.strip, _read(said.pop("deny_words_file")).splitlines())
        said["deny_words"] = (*said.get("deny_words", ()), *filter(None, lines))
    before = now()
    prompt = _prompt(said, before)
    said = {name: list(v) if isinstance(v, tuple) else v for name, v in said.items()}
    if prompt is not None:
        said["system_prompt"] = prompt
    for name in (*unset, *empty):
        if name in said:
            raise click.UsageError(f"{name} is stated twice.")
    kept = {name: value for name, value in {**before, **said}.items() if name not in unset}
    return {**others, "rules": {**kept, **{name: [] for name in empty}}}


def _prompt(said: dict[str, Any], before: Json) -> Json | None:
    text, file, mode = (said.pop(name, None) for name in _PROMPT)
    if text is not None and file is not None:
        raise click.UsageError("The system prompt is stated twice: by its text and by a file.")
    if text is None and file is None and mode is None:
        return None
    known = before.get("system_prompt") or {}
    text = text or (_read(file).strip() if file else known.get("text"))
    if text is None:
        raise click.UsageError("There is no system prompt yet: say it with --rules-system-prompt.")
    return {"text": text, "mode": mode or known.get("mode", "prepend")}


def told(rules: Json | None) -> list[tuple[str, str]]:
    """A group's rules as lines."""
    if not rules:
        return []
    lines: list[tuple[str, str]] = []
    for name in _FIELDS:
        value = rules.get(name)
        if value is None or (not value and name.startswith("deny")):
            continue
        lines.append((f"rule: {name.replace('_', ' ')}", _told(name, value)))
    return lines


def _told(name: str, value: Any) -> str:
    if name == "deny_words":
        return counted(len(value), "word")
    if name == "pii":
        return ", ".join(f"{kind}: {action}" for kind, action in value.items())
    if name == "system_prompt":
        text = " ".join(value["text"].split())
        return f"{value['mode']}: {text if len(text) <= _LONG else text[: _LONG - 1] + '…'}"
    if isinstance(value, list):
        return "; ".join(value) or "none"
    return f"{value:,}"
