"""P11: of every command it is said whether it shows members, so that a test can look at those that do."""

from __future__ import annotations

from collections.abc import Iterator

import click

from tests.support.commands_and_members import APART, CHANGING, OPENING, READING
from tuckshop.cli.main import cli


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    """All commands that do something by themselves."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield " ".join(path)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from leaves(found, (*path, name))


def test_every_command_is_on_one_of_the_lists() -> None:
    """P11: a new command goes into READING or CHANGING, and so is looked at, or into APART."""
    assert set(leaves(cli)) == {*READING, *CHANGING, *OPENING, *APART}, (
        "tests/support/commands_and_members.py has the lists"
    )
