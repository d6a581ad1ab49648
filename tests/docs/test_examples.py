"""Every `tuckshop …` line in the documentation and in the help texts is one that the command takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tuckshop.cli.main import cli

ROOT = Path(__file__).parents[2]
_LINE = re.compile(r"^(?:[A-Z_]+=\S+ +)*(?:\.venv/bin/)?tuckshop +(.+)$")


def _examples() -> Iterator[tuple[str, str]]:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```(?:sh|text)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                found = _LINE.match(line.strip())
                if found and not line.startswith("Usage:"):
                    yield str(page.relative_to(ROOT)), found[1]


def _parse(arguments: list[str]) -> None:
    """Read the line as the command would, without doing it. Raises click.UsageError."""
    command: click.Command = cli
    context = cli.make_context("tuckshop", list(arguments))
    while isinstance(command, click.Group):
        left = [*context._protected_args, *context.args]
        if not left and command.invoke_without_command:
            return
        name, found, rest = command.resolve_command(context, left)
        assert found is not None
        assert name is not None
        command, context = found, found.make_context(name, rest, parent=context)


def test_there_are_examples_of_every_command() -> None:
    named = {line.split()[0] for _, line in _examples()}

    assert named >= set(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize(("page", "line"), sorted(set(_examples())))
def test_an_example_is_a_line_that_the_command_takes(page: str, line: str) -> None:
    arguments = shlex.split(line, comments=True)
    for sign in "<>":
        if sign in arguments:
            arguments = arguments[: arguments.index(sign)]

    try:
        _parse(arguments)
    except click.UsageError as error:
        pytest.fail(f"{page}: tuckshop {line}: {error.format_message()}")
