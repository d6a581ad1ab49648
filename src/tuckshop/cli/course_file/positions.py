"""
Where things stand in a TOML text: line and column of every key and value, so that an error can point at it.

`tomllib` says what a text means and refuses what is wrong, but not where a value came from. This walks over a text
that `tomllib` has accepted, so it looks only for where things begin and end; a test holds both to the same names.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Path = tuple[str | int, ...]  # ("group", 0, "each", 2)

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}#\r\n]+")  # numbers, booleans, times
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
# One character as a basic string writes it; a backslash at the end of a line swallows what is blank behind it.
_WRITTEN: Final = re.compile(
    r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}|\\[ \t]*\r?\n\s*|\\.|\r\n|.", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class _Spot:
    key: int  # where the name begins, or an element of a list
    value: int


class Positions:
    """The places of a text that `tomllib` has accepted."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._spots = _Walk(text).spots

    @property
    def paths(self) -> frozenset[Path]:
        """Every key and element that has a place."""
        return frozenset(self._spots)

    def of_key(self, path: Path) -> Place:
        """Where the name of *path* stands; of what stands nowhere, where the nearest thing around it does."""
        while path and path not in self._spots:
            path = path[:-1]
        return self.at(self._spots[path].key if path else 0)

    def of_value(self, path: Path, character: int | None = None) -> Place:
        """Where its value begins, or in a string the *character* (from 0) of what it means."""
        if path not in self._spots:
            return self.of_key(path)
        offset = self._spots[path].value
        return self.at(offset if character is None else self._within(offset, character))

    def at(self, offset: int) -> Place:
        """The place of an offset into the text."""
        line = bisect_right(self._lines, offset)
        return Place(line, offset - self._lines[line - 1] + 1)

    def _within(self, start: int, character: int) -> int:
        found = _STRING.match(self._text, start)
        if found is None:
            return start
        written = found[0]
        width = 3 if written[:3] in ('"""', "'''") else 1
        offset, end = width, len(written) - width
        if width == 3:
            offset += len(re.match(r"(\r?\n)?", written[width:])[0])  # type: ignore[index]  # always matches
        is_literal = written[0] == "'"
        while offset < end:
            one = _WRITTEN.match(written, offset)
            assert one is not None
            length = 1 if is_literal and one[0] != "\r\n" else len(one[0])
            is_nothing = not is_literal and re.fullmatch(r"\\[ \t]*\r?\n\s*", one[0]) is not None
            if not is_nothing:
                if character == 0:
                    break
                character -= 1
            offset += length
        return start + min(offset, end)


class _Walk:
    """One walk from the first character to the last."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.spots: dict[Path, _Spot] = {}
        self._lengths: dict[Path, int] = {}  # of lists of tables
        self._walk()

    def _walk(self) -> None:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            start = self._at
            if self._take("["):
                is_list = self._take("[")
                names, _ = self._keys()
                self._take("]")
                if is_list:
                    self._take("]")
                table = self._header(names, start, is_list=is_list)
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self, names: tuple[str, ...], start: int, *, is_list: bool) -> Path:
        path: Path = ()
        for name in names[:-1]:
            path = self._last((*path, name))
            self.spots.setdefault(path, _Spot(start, start))
        path = (*path, names[-1])
        if is_list:
            length = self._lengths.get(path, 0)
            self._lengths[path] = length + 1
            self.spots.setdefault(path, _Spot(start, start))
            path = (*path, length)
        self.spots.setdefault(path, _Spot(start, start))
        return path

    def _last(self, path: Path) -> Path:
        """A list of tables goes on with its last one."""
        length = self._lengths.get(path)
        if length is None:
            return path
        self.spots.setdefault(path, _Spot(self._at, self._at))
        return (*path, length - 1)

    def _pair(self, table: Path) -> None:
        names, starts = self._keys()
        path = table
        for name, start in zip(names, starts, strict=True):
            path = (*path, name)
            self.spots.setdefault(path, _Spot(start, start))
        self._take("=")
        self._skip(_SPACE)
        self.spots[path] = _Spot(starts[-1], self._at)
        self._value(path)

    def _keys(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        names: list[str] = []
        starts: list[int] = []
        while True:
            self._skip(_SPACE)
            starts.append(self._at)
            bare = _BARE_KEY.match(self._text, self._at)
            if bare is not None:
                names.append(bare[0])
                self._at = bare.end()
            else:
                names.append(self._quoted())
            self._skip(_SPACE)
            if not self._take("."):
                return tuple(names), tuple(starts)

    def _quoted(self) -> str:
        start = self._at
        self._skip(_STRING)
        written = self._text[start : self._at]
        assert written, "tomllib has accepted the text"
        if written[0] == "'":
            return written[1:-1]
        return re.sub(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", _meaning, written[1:-1])

    def _value(self, path: Path) -> None:
        if self._take("["):
            index = 0
            self._skip(_BLANK)
            while not self._take("]"):
                self.spots[*path, index] = _Spot(self._at, self._at)
                self._value((*path, index))
                index += 1
                self._skip(_BLANK)
                self._take(",")
                self._skip(_BLANK)
        elif self._take("{"):
            self._skip(_BLANK)
            while not self._take("}"):
                self._pair(path)
                self._skip(_BLANK)
                self._take(",")
                self._skip(_BLANK)
        elif self._text[self._at] in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _take(self, character: str) -> bool:
        if self._text.startswith(character, self._at):
            self._at += 1
            return True
        return False

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()


_ESCAPES: Final[Mapping[str, str]] = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def _meaning(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if code[0] in "uU" and len(code) > 1 else _ESCAPES.get(code, code)
