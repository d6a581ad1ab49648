"""The roster that a course file names: read by the same code as an imported one, here beside the file."""

from __future__ import annotations

from pathlib import Path

from msgspec import UNSET

from tuckshop.cli.course_file import fields
from tuckshop.cli.course_file.shape import Problem, Source, WantedMember
from tuckshop.services.roster import read_roster
from tuckshop.services.roster_csv.errors import RosterFileError
from tuckshop.services.roster_csv.reader import read_csv
from tuckshop.services.shapes.members import NewMember

_FILE_MAX_BYTES = 4 << 20


def read_roster_file(
    file: Path, named_at: Source, *, id_column: str | None
) -> tuple[list[WantedMember], list[Problem]]:
    """The people of *file*, and what is wrong with it: by its lines, or as a whole where it is named."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(_FILE_MAX_BYTES + 1)
        if len(raw) > _FILE_MAX_BYTES:
            raise RosterFileError(f"it is larger than {_FILE_MAX_BYTES >> 20} MiB")
        roster = read_csv(raw, id_column=id_column)
    except OSError as error:
        return [], [Problem(named_at, f"roster: {file} cannot be read: {error.strerror}")]
    except RosterFileError as error:
        return [], [Problem(named_at, f"roster: {file}: {error}")]
    _, errors = read_roster(roster.lines)
    problems = [
        Problem(Source(str(file), one.line), f"{one.field or 'the row'} {one.message}")
        for one in errors
    ]
    if problems:
        return [], problems
    return [
        WantedMember(source=Source(str(file), line.line), fields=_fields_of(line.row))
        for line in roster.lines
        if isinstance(line.row, NewMember)
    ], []


def _fields_of(row: NewMember) -> dict[str, object]:
    said = {name: getattr(row, name) for name in row.__struct_fields__}
    return {
        name: fields.MEMBER.printed(name, value)
        for name, value in said.items()
        if value is not UNSET
    }
