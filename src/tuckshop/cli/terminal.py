"""What a terminal is shown beside the answer: colours, unless refused, and that a long call is still under way."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import click

SHOWN_AFTER_S: Final = 1.0  # most answers are there before anybody would wonder


def takes_colours(environ: Mapping[str, str] | None = None) -> bool:
    """Whether colours may be sent at all: see no-color.org. Whether there is a terminal, click and rich look."""
    # No settings: they are the terminal's, and mean the same to every program.
    found = os.environ if environ is None else environ  # noqa: TID251
    return not found.get("NO_COLOR") and found.get("TERM") != "dumb"


@contextmanager
def waiting(what: str, *, hidden: bool = False) -> Iterator[None]:
    """
    Tell on a terminal how long *what* takes already, on stderr, and leave no trace of it at the end.

    The server answers such a call once, at its end: seconds are all that can be told honestly.
    """
    if hidden or not sys.stderr.isatty():
        yield
        return
    is_over = threading.Event()

    def tell() -> None:
        seconds = 0
        while not is_over.wait(SHOWN_AFTER_S):
            seconds += 1
            click.echo(f"\r{what} … {seconds} s", err=True, nl=False)
        if seconds:
            blank = " " * (len(what) + len(f" … {seconds} s"))
            click.echo(f"\r{blank}\r", err=True, nl=False)

    teller = threading.Thread(target=tell, name="waiting", daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()
        teller.join()
