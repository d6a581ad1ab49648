"""A file of people, read line by line: what each row says, and what is wrong with it, by its line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET, UnsetType

from tuckshop.domain.csv_cell import unguarded
from tuckshop.domain.external_id import folded
from tuckshop.services.roster import RosterLine
from tuckshop.services.roster_csv.columns import Columns, columns_of
from tuckshop.services.roster_csv.encoding import text_of
from tuckshop.services.roster_csv.errors import RosterFileError
from tuckshop.services.shapes.members import NewMember
from tuckshop.services.shapes.rosters import RowError

_DELIMITERS: Final = ",;\t|"
_COLUMNS_MAX: Final = 16_384  # as many as a spreadsheet has
_CELL_MAX: Final = 100_000  # characters; a quote that is never closed swallows the rest of the file
_LIMITS_APART: Final = re.compile(r"[;\n|]")
_POINTS_ROW: Final = "points possible"  # Canvas puts it under the header of a gradebook


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRoster:
    """What a file says, and how it was read."""

    lines: list[RosterLine]
    columns: Columns
    encoding: str
    delimiter: str


def read_csv(raw: bytes, *, id_column: str | None = None) -> CsvRoster:
    """
    The rows of an exported roster; numbers of lines are the file's own, from 1.

    Args:
        raw: The file. A first line `sep=;`, as Excel writes it, names the delimiter; else it is the one of comma,
            semicolon, tab and bar that stands most often in the header.
        id_column: The column of the external id, where the header leaves a choice.
    Raises:
        RosterFileError: The file as a whole is not a CSV file with a header that names people.
    """
    text, encoding = text_of(raw)
    delimiter, skipped, text = _dialect(text)
    records = list(_records(text, delimiter, skipped))
    if not records:
        raise RosterFileError("the file is empty: the first line must name the columns")
    (_, header), *rows = records
    columns = columns_of(header, [cells for _, cells in rows], id_column=id_column)
    return CsvRoster(
        lines=list(_lines(columns, rows)),
        columns=columns,
        encoding=encoding,
        delimiter=delimiter,
    )


def _dialect(text: str) -> tuple[str, int, str]:
    """Delimiter, number of lines before the header, and the text from the header on."""
    said = re.match(r"sep=(.)\r?\n", text)
    if said is not None:
        return said[1], 1, text[said.end() :]
    counts = dict.fromkeys(_DELIMITERS, 0)
    is_quoted = False
    for character in text.lstrip("\r\n"):
        if character == '"':
            is_quoted = not is_quoted
        elif is_quoted:
            continue
        elif character in "\r\n":
            break
        elif character in counts:
            counts[character] += 1
    return max(counts, key=lambda one: counts[one]), 0, text


def _records(text: str, delimiter: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Every record that is not blank, with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise RosterFileError(
                f'line {line}: {error}; is there a quotation mark (") that is never closed?'
            ) from None
        if len(cells) > _COLUMNS_MAX:  # before each of them is looked at, which takes its time
            raise RosterFileError(
                f"line {line} has {len(cells):,} columns, more than any spreadsheet: is it a roster?"
            )
        if any(len(cell) > _CELL_MAX for cell in cells):
            raise RosterFileError(
                f'line {line}: a cell is longer than {_CELL_MAX} characters; is there a quotation mark (") '
                "that is never closed?"
            )
        if any(cell.strip() for cell in cells):
            yield line, [unguarded(cell.strip()) for cell in cells]


def _lines(columns: Columns, rows: Sequence[tuple[int, list[str]]]) -> Iterator[RosterLine]:
    seen: dict[str, int] = {}
    for line, cells in rows:
        surplus = [cell for cell in cells[len(columns.header) :] if cell]
        if surplus:
            yield _failed(
                line,
                None,
                f"has {len(cells)} cells where the header has {len(columns.header)}; "
                f"a cell that holds the delimiter must stand in quotation marks{_whose(columns, cells)}",
            )
            continue
        external_id = _cell(cells, columns.external_id)
        if not external_id:
            if _name(columns, cells).casefold() != _POINTS_ROW:
                yield _failed(line, "external_id", f"is empty{_whose(columns, cells)}")
            continue
        first = seen.setdefault(folded(external_id), line)
        if first != line:
            yield _failed(line, "external_id", f"{external_id!r} is on line {first} already")
            continue
        yield RosterLine(
            line,
            NewMember(
                external_id=external_id,
                name=_name(columns, cells) or UNSET,
                email=_cell(cells, columns.email) or UNSET,
                limits=_list(_cell(cells, columns.limits)),
                models=_list(_cell(cells, columns.models)),
            ),
        )


def _whose(columns: Columns, cells: Sequence[str]) -> str:
    """Whom a row that cannot be read seems to be about, as far as that can be told."""
    told = [part for part in (_cell(cells, columns.external_id), _name(columns, cells)) if part]
    return f" (the row of {', '.join(told)})" if told else ""


def _failed(line: int, field: str | None, message: str) -> RosterLine:
    return RosterLine(line, RowError(line=line, field=field, message=message))


def _cell(cells: Sequence[str], place: int | None) -> str:
    return cells[place] if place is not None and place < len(cells) else ""


def _name(columns: Columns, cells: Sequence[str]) -> str:
    whole = _cell(cells, columns.name)
    parts = (_cell(cells, columns.first_name), _cell(cells, columns.last_name))
    return " ".join((whole or " ".join(part for part in parts if part)).split())


def _list(cell: str) -> list[str] | UnsetType:
    parts = [part.strip() for part in _LIMITS_APART.split(cell)]
    return [part for part in parts if part] or UNSET
