"""The command `tuckshop`: which commands there are. Each is imported when it is called, so that help comes at once."""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import click

from tuckshop.cli.terminal import takes_colours
from tuckshop.domain.errors import TuckshopError

# Name → what it does, in the order in which somebody needs them. A command stands in the module of its name.
COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "serve": "Start the server.",
        "demo": "Start the whole thing with a made-up provider and a made-up class.",
        "apply": "Make the server match a file: groups, policies, members.",
        "group": "Groups: create, list, show, edit, export, pause, resume, reset, archive.",
        "member": "Members: create, import, list, show, edit, grant, pause, resume, reset, archive.",
        "key": "Keys: create, hand-out, link, list, show, edit, find, pause, resume, reset, rotate, revoke, archive.",
        "mail": "Links by mail, a test mail, and the queue of mails.",
        "notify": "Who is mailed of what happens: show, set.",
        "webhook": "Programs that are told what happens: add, list, show, edit, deliveries, test, remove.",
        "token": "Tokens of staff: create, list, show, revoke.",
        "workspace": "What holds over all groups together: show, edit.",
        "import": "Take over keys, users and teams of another gateway.",
        "upstream": "Upstreams: add, list, show, edit, test, remove.",
        "prices": "What models cost: list, set, unset.",
        "usage": "Show what was used, look ahead, make month-end statements.",
        "log": "Show the request log, newest first.",
        "flags": "Show what was flagged in calls, and say whether it stands.",
        "who": "Tell whom the provider knows by a pseudonym.",
        "hold": "Legal holds on what is kept of prompts and answers: set, list, release.",
        "privacy": "Papers for data protection: notice, record, dpia; what they have to be told.",
        "audit": "Show what staff did, and check that the trail of it is whole.",
        "export": "Everything about a person, as a folder for them.",
        "erase": "Forget a person, or everybody of a group whose term is over.",
        "correct": "Post corrections in bulk.",
        "clock": "Go on after the clock has jumped.",
        "verify": "Recompute every counter and sum from the rows.",
        "doctor": "Check everything that a server needs, and say how to mend what is wrong.",
        "backup": "Copy the ledger to a file, also while the server runs.",
        "restore": "Put a backup in the ledger's place.",
        "config": "Show the settings in force, and where each came from.",
        "completion": "Print the script by which a shell completes commands and options.",
        "mock-upstream": "Start the made-up provider alone.",
    }
)


class Commands(click.Group):
    """A group whose commands are known by name and imported on first need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None: there is none."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        if keyword.iskeyword(name):
            name += "_"
        command = getattr(importlib.import_module(f"tuckshop.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what tuckshop raises on purpose becomes a sentence on stderr and exit status 1."""
        if not takes_colours():
            ctx.color = False
        try:
            return super().invoke(ctx)
        except TuckshopError as error:
            raise click.ClickException(str(error)) from error


@click.command(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="tuckshop", message="%(prog)s %(version)s")
def cli() -> None:
    """
    One real key behind the counter; everyone gets a key of their own and a budget.

    \b
    Example:
      tuckshop demo
      tuckshop group create swa --each '$0.20/month' --models gpt-4o-mini
      tuckshop member create 4711 --group swa --issue-keys
    """


def main() -> None:
    """Entry point of the command."""
    cli(prog_name="tuckshop")
