"""The passphrase of a backup's credentials: from a file, standard input or a prompt, never from an argument."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from tuckshop.cli.client import RefusedError
from tuckshop.cli.options import Decorator

_MAX_BYTES: Final = 4096

passphrase_file: Decorator = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the passphrase of the credentials stands; - is standard input.",
)


def passphrase_from(file: Path | None, *, is_new: bool) -> str | None:
    """
    What the file, standard input or a prompt says, without the line's end; None: nobody is there to be asked.

    Raises:
        RefusedError: It cannot be read, or is no text.
    """
    if file is None:
        if not sys.stdin.isatty():
            return None
        asked = click.prompt(
            "Passphrase for the credentials (it is not shown)",
            hide_input=True,
            confirmation_prompt=is_new,
            default=None if is_new else "",
            show_default=False,
            err=True,
        )
        assert isinstance(asked, str)
        return asked or None
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(_MAX_BYTES)
        else:
            with file.open("rb") as opened:
                raw = opened.read(_MAX_BYTES)
        return raw.decode().rstrip("\r\n")
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise RefusedError("That is no text, so it is no passphrase.") from None
