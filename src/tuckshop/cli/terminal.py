"""What a terminal is shown beside the answer: colours, unless refused, and that a long call is still under way."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import click

SHOWN_AFTER_S: Final = 1.0  # most answers are there before anybody would wonder


def takes_colours(environ: Mapping[str, str] | None = None) -> bool:
    """Whether colours may be sent at all: see no-color.org. Whether there is a terminal, click and rich look."""
    # No settings: they are the terminal's, and mean the same to every program.
    found = os.environ if environ is None else environ  # noqa: TID251
    return not found.get("NO_COLOR") and found.get("TERM") != "dumb"


def is_watched() -> bool:
    """Does anybody see how far a long command is?"""
    return sys.stderr.isatty()


@contextmanager
def counting(what: str, total: int, *, hidden: bool = False) -> Iterator[Callable[[int], None]]:
    """
    Draw a bar on a terminal, on stderr, of how many of *total* are done; yields how it is told that more are.

    Whatever is done part by part has one; what the server does as one call is `waiting`.
    """
    with click.progressbar(
        length=total,
        label=what,
        file=sys.stderr,
        show_pos=True,
        hidden=hidden or not total or not is_watched(),
    ) as bar:
        yield bar.update


@contextmanager
def waiting(
    what: str, *, hidden: bool = False, so_far: Callable[[], str] | None = None
) -> Iterator[None]:
    """
    Tell on a terminal how long *what* takes already, on stderr, and leave no trace of it at the end.

    The server answers such a call once, at its end: seconds are all that can be told honestly, and what *so_far* says.
    """
    if hidden or not is_watched():
        yield
        return
    is_over = threading.Event()

    def tell() -> None:
        seconds = longest = 0
        while not is_over.wait(SHOWN_AFTER_S):
            seconds += 1
            line = f"{what} … {seconds} s{'' if so_far is None else f', {so_far()}'}"
            longest = max(longest, len(line))
            click.echo(f"\r{line:<{longest}}", err=True, nl=False)
        if seconds:
            click.echo(f"\r{' ' * longest}\r", err=True, nl=False)

    teller = threading.Thread(target=tell, name="waiting", daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()
        teller.join()
