"""Reading a course file: everything that is wrong with it at once, each with file, line and column."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path as File
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from tuckshop.cli.course_file import fields, notifying
from tuckshop.cli.course_file.positions import Path, Positions
from tuckshop.cli.course_file.rosters import read_roster_file
from tuckshop.cli.course_file.shape import (
    GROUP_FIELDS,
    GROUP_UNSETTABLE,
    MEMBER_FIELDS,
    MEMBER_UNSETTABLE,
    Course,
    CourseTable,
    GroupTable,
    MemberTable,
    Problem,
    Source,
    WantedGroup,
    WantedMember,
)
from tuckshop.domain.errors import InvalidFieldsError
from tuckshop.domain.limits import LimitSyntaxError, parse_limit

FILE_MAX_BYTES: Final = 4 << 20
_LIMIT_FIELDS: Final = frozenset({"each", "shared", "limits"})
_WHERE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)")
_AT: Final = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<where>.*)`)?", re.DOTALL)
_STEP: Final = re.compile(r"\[(\d+)\]|\.(\w+)")


class CourseFileError(ValueError):
    """A file that cannot be taken: all its `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def read_course(file: File) -> Course:
    """
    What *file* and the rosters that it names say.

    Raises:
        CourseFileError: Anything is wrong with them.
        OSError: The file cannot be read.
    """
    with file.open("rb") as opened:
        raw = opened.read(FILE_MAX_BYTES + 1)
    name = str(file)
    if len(raw) > FILE_MAX_BYTES:
        raise CourseFileError(
            [Problem(Source(name, 1), f"is larger than {FILE_MAX_BYTES >> 20} MiB")]
        )
    text = _text_of(raw, name)
    document = _parsed(text, name)
    reader = _Reader(file, Positions(text))
    course = reader.course(document)
    if reader.problems:
        raise CourseFileError(sorted(reader.problems, key=lambda one: _order(one.source, name)))
    return course


class _Reader:
    """Goes through one parsed file and gathers what is wrong."""

    def __init__(self, file: File, positions: Positions) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._positions = positions

    def course(self, document: Mapping[str, Any]) -> Course:
        self._names(document, CourseTable, ())
        groups: list[WantedGroup] = []
        seen: dict[str, Source] = {}
        tables = self._tables(document, "group", ())
        for index, table in tables:
            group = self._group(table, ("group", index))
            if group is None:
                continue
            first = seen.setdefault(group.name, group.source)
            if first is not group.source:
                self._say_at(
                    group.source, f"the group {group.name!r} is on line {first.line} already"
                )
            groups.append(group)
        if not tables and not self.problems:
            self._say_at(self._key(()), "there is no [[group]] in it")
        return Course(tuple(groups))

    def _group(self, table: Mapping[str, Any], path: Path) -> WantedGroup | None:
        typed = self._typed(table, GroupTable, path, apart=("member",))
        said = self._read(fields.GROUP, typed, GROUP_FIELDS, path)
        self._put_back(said, typed, GROUP_UNSETTABLE, path)
        members = self._members(table, typed, path)
        if "name" not in table:
            self._say_at(self._key(path), 'the group has no name: name = "…" is needed')
        if "name" not in said:
            return None
        return WantedGroup(
            source=self._key((*path, "name")),
            name=str(said["name"]),
            fields=said,
            members=members,
            notify=self._notify(typed, path),
            paths={name: self._key((*path, name)) for name in said},
        )

    def _notify(self, typed: Mapping[str, Any], path: Path) -> Mapping[str, object] | None:
        if "notify" not in typed:
            return None
        try:
            return notifying.normal(typed["notify"])
        except InvalidFieldsError as refused:
            for error in refused.errors:
                where = (*path, "notify", *_steps(f".{error.field}"))
                self._say_at(self._value(where), f"notify: {error.message}")
            return None

    def _members(
        self, table: Mapping[str, Any], typed: Mapping[str, Any], path: Path
    ) -> tuple[WantedMember, ...] | None:
        if "member" not in table and "roster" not in table:
            if "id_column" in table:
                self._say_at(
                    self._key((*path, "id_column")), "id_column is for a roster, and none is named"
                )
            return None
        found: dict[str, WantedMember] = {}
        if "roster" in typed:
            rows, problems = read_roster_file(
                self._file.parent / typed["roster"],
                self._value((*path, "roster")),
                id_column=typed.get("id_column"),
            )
            self.problems += problems
            found = {row.folded_id: row for row in rows}
        own: dict[str, Source] = {}
        for index, row in self._tables(table, "member", path):
            member = self._member(row, (*path, "member", index))
            if member is None:
                continue
            first = own.setdefault(member.folded_id, member.source)
            if first is not member.source:
                self._say_at(
                    member.source, f"{member.external_id!r} is on line {first.line} already"
                )
            before = found.get(member.folded_id)
            if before is not None:
                merged = {**before.fields, **member.fields}
                member = WantedMember(source=member.source, fields=merged)
            found[member.folded_id] = member
        return tuple(found.values())

    def _member(self, table: Mapping[str, Any], path: Path) -> WantedMember | None:
        typed = self._typed(table, MemberTable, path)
        said = self._read(fields.MEMBER, typed, MEMBER_FIELDS, path)
        self._put_back(said, typed, MEMBER_UNSETTABLE, path)
        if "external_id" not in table:
            self._say_at(
                self._key(path), 'the member has no external_id: external_id = "…" is needed'
            )
        if "external_id" not in said:
            return None
        return WantedMember(source=self._key((*path, "external_id")), fields=said)

    # ── one table ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _tables(
        self, table: Mapping[str, Any], name: str, path: Path
    ) -> list[tuple[int, Mapping[str, Any]]]:
        """The tables of the list *name*, by their index; what else stands there is told."""
        listed = table.get(name, [])
        dotted = ".".join([*(step for step in path if isinstance(step, str)), name])
        if not isinstance(listed, list):
            self._say_at(self._key((*path, name)), f"expected [[{dotted}]], with two brackets each")
            return []
        for index, one in enumerate(listed):
            if not isinstance(one, dict):
                self._say_at(
                    self._value((*path, name, index)), f"expected a table, as of [[{dotted}]]"
                )
        return [(index, one) for index, one in enumerate(listed) if isinstance(one, dict)]

    def _typed(
        self,
        table: Mapping[str, Any],
        kind: type[Struct],
        path: Path,
        *,
        apart: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The fields that there are and that have a value of their type, but those *apart*."""
        known = self._names(table, kind, path)
        types = {field.name: field.type for field in msgspec.structs.fields(kind)}
        return {
            name: table[name]
            for name in known
            if name not in apart and self._has_type(table[name], types[name], (*path, name))
        }

    def _names(self, table: Mapping[str, Any], kind: type[Struct], path: Path) -> list[str]:
        known = kind.__struct_fields__
        for name in table:
            if name not in known:
                message = f"there is no field {name!r}{_meant(name, known)}"
                self._say_at(self._key((*path, name)), message)
        return [name for name in table if name in known]

    def _has_type(self, value: Any, expected: Any, path: Path) -> bool:
        struct = next((one for one in (expected, *get_args(expected)) if _is_struct(one)), None)
        if struct is not None and isinstance(value, dict):
            return len(self._typed(value, struct, path)) == len(value)
        try:
            msgspec.convert(value, expected)
        except msgspec.ValidationError as error:
            found = _AT.fullmatch(str(error))
            assert found is not None
            inner = tuple(_steps(found["where"] or ""))
            self._say_at(
                self._value((*path, *inner)), f"{_named(path)}: {_plain(found['what'], expected)}"
            )
            return False
        return True

    def _read(
        self, kind: fields.Kind, typed: Mapping[str, Any], names: Iterable[str], path: Path
    ) -> dict[str, object]:
        """Those of *typed* that are fields of *kind*, as the server would show them."""
        said: dict[str, object] = {}
        for name in names:
            if name not in typed or (
                name in _LIMIT_FIELDS and self._has_bad_limit(typed[name], (*path, name))
            ):
                continue
            if name == "state":
                said[name] = typed[name]
                continue
            try:
                said[name] = kind.printed(name, typed[name])
            except InvalidFieldsError as refused:
                for error in refused.errors:
                    inner = tuple(_steps(error.field.removeprefix(name)))
                    self._say_at(self._value((*path, name, *inner)), f"{name}: {error.message}")
        return said

    def _has_bad_limit(self, texts: Sequence[str], path: Path) -> bool:
        is_bad = False
        for index, text in enumerate(texts):
            try:
                parse_limit(text)
            except LimitSyntaxError as error:
                is_bad = True
                said = str(error).removeprefix(f"column {error.column}: ")
                self._say_at(
                    self._value((*path, index), error.column - 1),
                    f"{_named(path)}: {said}, in {text!r}",
                )
        return is_bad

    def _put_back(
        self, said: dict[str, object], typed: Mapping[str, Any], known: Sequence[str], path: Path
    ) -> None:
        """Note the fields that `unset` names as going back to their default."""
        for index, name in enumerate(typed.get("unset", ())):
            source = self._value((*path, "unset", index))
            if name not in known:
                self._say_at(
                    source, f"unset: there is no field {name!r} to put back{_meant(name, known)}"
                )
            elif name in typed:
                self._say_at(source, f"unset: {name} is said as well: one of both")
            else:
                said[name] = None

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _key(self, path: Path) -> Source:
        place = self._positions.of_key(path)
        return Source(str(self._file), place.line, place.column)

    def _value(self, path: Path, character: int | None = None) -> Source:
        place = self._positions.of_value(path, character)
        return Source(str(self._file), place.line, place.column)

    def _say_at(self, source: Source, message: str) -> None:
        self.problems.append(Problem(source, message))


def _text_of(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        message = "is not UTF-8: save the file as UTF-8"
        raise CourseFileError([Problem(Source(name, line, column), message)]) from None


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else "is nested too deeply"
        found = _WHERE.search(said)
        rows = text.split("\n")
        line, column = len(rows), len(rows[-1]) + 1
        if found is None:
            line = column = 1
        elif found[1]:
            line, column = int(found[1]), int(found[2])
        message = said if found is None else said[: found.start()]
        raise CourseFileError(
            [Problem(Source(name, line, column), f"this is not TOML: {message}")]
        ) from None


def _order(source: Source, main: str) -> tuple[bool, str, int, int]:
    return source.file != main, source.file, source.line, source.column or 0


def _is_struct(one: object) -> bool:
    return isinstance(one, type) and issubclass(one, Struct)


def _steps(where: str) -> Iterator[str | int]:
    for found in _STEP.finditer(where):
        yield int(found[1]) if found[1] else found[2]


def _named(path: Path) -> str:
    return str(next(step for step in reversed(path) if isinstance(step, str)))


def _plain(what: str, expected: Any) -> str:
    """What msgspec says, in the words of a file, which has no null."""
    choices = [
        repr(choice)
        for one in (expected, *get_args(expected))
        if get_origin(one) is Literal
        for choice in get_args(one)
    ]
    if choices:
        return f"expected {' or '.join(choices)}"
    return what[:1].lower() + what[1:].replace("`", "").replace(" | null", "")


def _meant(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]!r}?" if near else ""
