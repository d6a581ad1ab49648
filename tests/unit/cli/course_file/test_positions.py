"""Every name and element of a TOML text has its place, however the text is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuckshop.cli.course_file import toml_text
from tuckshop.cli.course_file.positions import Path, Place, Positions

TEXT = """\
# a comment with "quotes" and [brackets]
top = 1
[a.b]
'quoted key' = "x" # ]
dotted . inner = { one = 1, "two" = [ 2, 3 ] }
[[list]]
first = [ # nothing
  "a", 'b',
  [ 1.5, 1979-05-27T07:32:00Z ],
]
[[list.of]]
deep = true
[[list.of]]
[[list]]
long = \"\"\"
ab\\
   c\\u0041d\"\"\"
after = '''x'''
"""


def test_places_are_those_of_an_editor() -> None:
    positions = Positions(TEXT)

    assert positions.of_key(("top",)) == Place(2, 1)
    assert positions.of_key(("a", "b")) == Place(3, 1)
    assert positions.of_value(("a", "b", "quoted key")) == Place(4, 16)
    assert positions.of_key(("a", "b", "dotted", "inner")) == Place(5, 10)
    assert positions.of_value(("a", "b", "dotted", "inner", "two", 1)) == Place(5, 42)
    assert positions.of_value(("list", 0, "first", 1)) == Place(8, 8)
    assert positions.of_value(("list", 0, "first", 2, 1)) == Place(9, 10)
    assert positions.of_key(("list", 0, "of", 1)) == Place(13, 1)
    assert positions.of_value(("list", 1, "long"), 2) == Place(17, 4)
    assert positions.of_value(("list", 1, "long"), 3) == Place(17, 5)
    assert positions.of_value(("list", 1, "long"), 4) == Place(17, 11)
    assert positions.of_key(("list", 1, "gone", 7)) == Place(14, 1)
    assert positions.of_key(()) == Place(1, 1)


names = st.text("abc-", min_size=1, max_size=3) | st.text('a."\\ é#[]=', max_size=3)
scalars = (
    st.integers()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab\"'\\\n\t#[]{},=é\x00\U0001f600", max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
tables = st.dictionaries(
    names,
    values | st.lists(st.dictionaries(names, values, max_size=2), min_size=1, max_size=3),
    max_size=4,
)


@given(tables, st.data())
def test_every_path_of_the_meaning_has_a_place_and_no_other_has(
    document: Mapping[str, Any], data: st.DataObject
) -> None:
    """Written in whatever way TOML leaves: dotted, in tables, on one line, with comments and either line end."""
    lines = list(_written(document, (), data))
    text = data.draw(st.sampled_from(["\n", "\r\n"])).join(lines) + "\n"
    assert tomllib.loads(text) == document

    positions = Positions(text)

    assert positions.paths == frozenset(_paths(document, ()))
    rows = text.split("\n")
    for path, value in _leaves(document, ()):
        if isinstance(value, str):
            for index, character in enumerate(value):
                place = positions.of_value(path, index)
                if character in "ab":
                    assert rows[place.line - 1][place.column - 1] == character


def _written(table: Mapping[str, Any], path: Path, data: st.DataObject) -> Iterator[str]:
    """Pairs first, then tables of their own."""
    later: list[tuple[str, Any]] = []
    for name, value in table.items():
        is_list = isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
        if (is_list or isinstance(value, dict)) and data.draw(st.booleans()):
            later.append((name, value))
            continue
        if isinstance(value, dict) and value and data.draw(st.booleans()):
            for inner, one in value.items():
                yield f"{toml_text.key(name)} . {toml_text.key(inner)} = {_inline(one, data)}"
            continue
        yield f'  {toml_text.key(name)} = {_inline(value, data)} # ] """ \''
    for name, value in later:
        heading = ".".join(
            toml_text.key(str(step)) for step in (*path, name) if isinstance(step, str)
        )
        if isinstance(value, dict):
            yield f"[{heading}]"
            yield from _written(value, (*path, name), data)
        else:
            for index, one in enumerate(value):
                yield f"[[ {heading} ]]"
                yield from _written(one, (*path, name, index), data)


def _inline(value: Any, data: st.DataObject) -> str:
    if isinstance(value, dict):
        inner = ", ".join(
            f"{toml_text.key(name)} = {_inline(one, data)}" for name, one in value.items()
        )
        return f"{{ {inner} }}"
    if isinstance(value, list):
        gap = data.draw(st.sampled_from([", ", ",\n  # ]\n", " ,"]))
        end = data.draw(st.sampled_from(["", ","])) if value else ""
        return f"[{gap.join(_inline(one, data) for one in value)}{end}]"
    if (
        isinstance(value, str)
        and "'" not in value
        and value.isprintable()
        and data.draw(st.booleans())
    ):
        return f"'{value}'"
    if isinstance(value, str) and data.draw(st.booleans()):
        return f'"""\n{toml_text.string(value)[1:-1]}\\\n   """'
    return toml_text.value(value)


def _paths(value: Any, path: Path) -> Iterator[Path]:
    if path:
        yield path
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, one in inner:
        yield from _paths(one, (*path, step))


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(one, (*path, name))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _leaves(one, (*path, index))
    else:
        yield path, value


@given(tables)
def test_what_is_written_is_read_back_and_shows_a_terminal_nothing_to_obey(
    document: Mapping[str, Any],
) -> None:
    """K13."""
    inline = {name: value for name, value in document.items() if not isinstance(value, dict)}
    text = "\n".join(toml_text.table("[[group]]", document))

    assert tomllib.loads(text) == {"group": [document]}
    assert all(one.isprintable() for line in text.split("\n") for one in line)
    assert tomllib.loads(f"x = {toml_text.value(list(inline.values()))}")["x"] == list(
        inline.values()
    )
