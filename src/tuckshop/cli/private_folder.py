"""Folders that hold what is known about somebody: new, readable by their owner alone, whole or not there."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tuckshop.cli.client import RefusedError
from tuckshop.cli.output import clean, json_text
from tuckshop.domain.csv_cell import guarded


class PrivateFolder:
    """A folder of mode 0700 with files of mode 0600. Made by `new_folder`, or inside another."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        self.path = path

    def inside(self, name: str) -> PrivateFolder:
        """A new folder in it."""
        return PrivateFolder(self.path / name)

    @contextmanager
    def file(self, name: str) -> Iterator[IO[bytes]]:
        """A new file in it, to be written."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(self.path / name, flags, 0o600), "wb") as out:
            yield out

    def write(self, name: str, text: str) -> None:
        """A file with this text."""
        with self.file(name) as out:
            out.write(text.encode())

    def write_json(self, name: str, value: object) -> None:
        """A file with this value, for people to read too."""
        self.write(name, json_text(value) + "\n")

    def write_table(
        self, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
    ) -> None:
        """A CSV file of these columns; nothing in it is run as a formula."""
        kept = io.StringIO(newline="")
        table = csv.writer(kept, lineterminator="\r\n")
        table.writerow(columns)
        table.writerows([_cell(row.get(column)) for column in columns] for row in rows)
        self.write(name, kept.getvalue())


@contextmanager
def new_folder(path: Path) -> Iterator[PrivateFolder]:
    """
    A folder that was not there before. Where it cannot be filled to the end it is taken away again.

    Raises:
        RefusedError: It is there already, or cannot be made or written.
    """
    try:
        folder = PrivateFolder(path)
    except FileExistsError:
        raise RefusedError(
            clean(f"{path} is there already and is not written over. Name another folder by --out.")
        ) from None
    except OSError as error:
        raise RefusedError(clean(f"{path} cannot be made: {error.strerror}.")) from error
    try:
        yield folder
    except BaseException as error:
        shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, OSError):
            raise RefusedError(
                clean(f"{path} cannot be written ({error.strerror}): it was taken away again.")
            ) from error
        raise


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return guarded(" ".join(value))
    if isinstance(value, dict | list):
        return guarded(" ".join(json_text(value).split()))
    return guarded(str(value))
