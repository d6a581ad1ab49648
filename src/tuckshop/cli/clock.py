"""`tuckshop clock`: go on after the clock has jumped."""

from __future__ import annotations

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client
from tuckshop.cli.output import note, print_json, when


@click.group()
def clock() -> None:
    """
    Go on after the clock has jumped.

    \b
    Example:
      tuckshop clock accept
    """


@clock.command()
@options.as_json
def accept(as_json: bool) -> None:
    """
    Say that the server's clock is right as it is.

    A server admits nothing while its clock is far behind a time that it has seen, or leapt over the edge of a day: a
    budget would begin anew. Set the clock right; where that is what happened, accept it. The audit trail keeps it.

    \b
    Example:
      tuckshop clock accept
    """
    answer = Client.connect().post("clock", "accept")
    if as_json:
        print_json(answer)
        return
    note(
        f"Accepted: the server goes on at {when(answer['now'])}."
        f" The latest time that it had seen was {when(answer['latest_before'])}."
    )
