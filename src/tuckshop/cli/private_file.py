"""Files that hold secrets, or names: made by us, readable by their owner alone, never over one that is there."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import click

from tuckshop.cli.client import RefusedError
from tuckshop.domain.csv_cell import guarded


def create_private(
    path: Path, *, why: str = "it may hold keys that nobody can read again"
) -> IO[str]:
    """
    A new file of mode 0600, before anything is done whose outcome has to go in there.

    Raises:
        RefusedError: It is there already, or cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise RefusedError(
            f"{path} is there already and is not written over: {why}. Name another file."
        ) from None
    except OSError as error:
        raise RefusedError(f"{path} cannot be made: {error.strerror}.") from error
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def write_rows(out: IO[str], path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write *rows* as CSV and wait for the disk; what cannot be written is printed, so that no key is lost."""
    kept = io.StringIO(newline="")
    csv.writer(kept, lineterminator="\n").writerows(
        [guarded("" if cell is None else str(cell)) for cell in row] for row in rows
    )
    write_text(out, path, kept.getvalue())


def write_text(out: IO[str], path: Path, text: str) -> None:
    """Write *text* and wait for the disk; what cannot be written is printed, so that no key is lost."""
    try:
        with out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        click.echo(text, nl=False)
        raise RefusedError(
            f"{path} cannot be written ({error.strerror}): what belongs in it stands above."
        ) from error
