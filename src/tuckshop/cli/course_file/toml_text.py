"""Values as TOML text that `tomllib` reads back as the same, with nothing in it that a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH: Final = 100
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def key(name: str) -> str:
    """A name before the equals sign."""
    return name if _BARE_KEY.fullmatch(name) else string(name)


def string(text: str) -> str:
    """A basic string; what cannot be seen is written by its number."""
    return '"' + "".join(_ESCAPES.get(one) or _seen(one) for one in text) + '"'


def value(one: object, *, before: int = 0) -> str:
    """
    A string, a number, a truth value, a table on one line, or a list of these.

    A list that is too long for its line, or one of tables, takes several.
    """
    if isinstance(one, bool):
        return "true" if one else "false"
    if isinstance(one, int | float | Decimal):
        return str(one)
    if isinstance(one, str):
        return string(one)
    if isinstance(one, Mapping):
        inner = ", ".join(f"{key(name)} = {value(part)}" for name, part in one.items())
        return f"{{ {inner} }}" if inner else "{}"
    assert isinstance(one, Sequence), f"no value of a policy is {type(one).__name__}"
    parts = [value(part) for part in one]
    line = f"[{', '.join(parts)}]"
    if before + len(line) <= _WIDTH and not any(isinstance(part, Mapping) for part in one):
        return line
    # On one line inside a table on one line, which may not be broken: lists there hold no tables and are short enough.
    return "[\n" + "".join(f"    {part},\n" for part in parts) + "]"


def table(heading: str, fields: Mapping[str, object]) -> Iterator[str]:
    """The lines of a table below its *heading*; mappings in it become tables of their own, behind it."""
    yield heading
    for name, one in fields.items():
        if not isinstance(one, Mapping):
            lead = f"{key(name)} = "
            yield lead + value(one, before=len(lead))
    inner = heading.strip("[]")
    for name, one in fields.items():
        if isinstance(one, Mapping):
            yield ""
            yield from table(f"[{inner}.{key(name)}]", one)


def _seen(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
