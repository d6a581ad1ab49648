"""Bodies are parsed strictly, and written again with the same meaning (E5, M12)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.errors import InvalidRequestBodyError
from tuckshop.protocols.json_body import MAX_DEPTH, Number, dump, parse


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"[1]", "object"),
        (b"null", "object"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"model": "a", "model": "b"}', "'model' stands twice"),
        (b'{"x": {"a": 1, "\\u0061": 2}}', "'a' stands twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 9223372036854775808}', "63 bits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "63 bits"),
        (b'{"a": 0.' + b"1" * 5000 + b"}", "too long"),
        (b'{"a": "\\ud800"}', "half of a character"),
        (b'{"\\uDFFF": 1}', "half of a character"),
        (b'{"a": 1,}', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 01}', "not JSON"),
        (b'{"a": "\n"}', "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b'{"a": 1}{"b": 2}', "not JSON"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequestBodyError, match=reason):
        parse(body)


WHITE = st.text(" \t\r\n", max_size=3)
TEXTS = st.sampled_from(
    [
        "{}", '{"a":1}', '{"a":[1,{"b":"c"}]}', '{ "a" :\n"\u00e4"\t}', "{", "}", "{}}", "{}{}", '{"a":1', '{"a":1,}',
        "{a:1}", "[]", "[{}]", "1", '"a"', "null", "", "{} x", "x{}", "\x0b{}", "{}\x0c", "\u00a0{}", "{}\u2003",
        "{}\x00",
    ]
)  # fmt: skip


@given(before=WHITE, text=TEXTS, after=WHITE)
def test_it_is_an_object_where_the_standard_library_reads_one(
    before: str, text: str, after: str
) -> None:
    """E5: white space around it is none of its matter, and nothing else may stand there."""
    body = (before + text + after).encode()
    try:
        expected = json.loads(body.decode())
    except json.JSONDecodeError as error:
        with pytest.raises(InvalidRequestBodyError, match=error.msg):
            parse(body)
        return
    if isinstance(expected, dict):
        assert parse(body) == expected
    else:
        with pytest.raises(InvalidRequestBodyError, match="object"):
            parse(body)


def test_depth_is_bounded_to_the_level() -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)

    assert parse(nested(MAX_DEPTH))

    with pytest.raises(InvalidRequestBodyError, match="deeper than 64"):
        parse(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("opening", [b'{"a":', b'{"a":['])
def test_absurd_depth_is_refused_and_not_a_crash(opening: bytes) -> None:
    with pytest.raises(InvalidRequestBodyError):
        parse(opening * 100_000)
    with pytest.raises(InvalidRequestBodyError, match="deeper"):
        parse(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_a_surrogate_pair_is_a_character_like_any_other() -> None:
    assert parse(b'{"a": "\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}


def test_numbers_keep_their_spelling_and_objects_their_order() -> None:
    body = b'{"z":1.50,"a":[1E3,-0,0.7,1e-400,12345678901234567890.5,0],"m":{"t":1.0,"n":{}}}'

    tree = parse(body)

    assert tree["z"] == Number("1.50")
    assert tree["a"][2] == 0.7
    assert dump(tree) == body


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(tree=st.dictionaries(st.text(), _TREES), ascii_only=st.booleans())
def test_what_is_written_again_means_the_same(tree: dict[str, Any], ascii_only: bool) -> None:
    body = json.dumps(tree, ensure_ascii=ascii_only).encode()

    again = dump(parse(body))

    assert json.loads(again) == tree
    assert list(json.loads(again)) == list(tree)


@given(
    spelling=st.from_regex(
        r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
    )
)
def test_any_number_is_sent_as_it_was_spelled(spelling: str) -> None:
    body = b'{"a":[' + spelling.encode() + b"]}"

    assert dump(parse(body)) == body


@given(
    tree=st.dictionaries(
        st.text('a,[{"\\', max_size=4),
        st.recursive(
            st.integers(0, 9) | st.text('b,[{"\\', max_size=4),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
            max_leaves=20,
        ),
        max_size=4,
    )
)  # fmt: skip
def test_only_values_are_counted_whatever_stands_in_texts(tree: dict[str, Any]) -> None:
    """E5: members, elements, and what is empty; small values take many times their bytes of memory."""

    def count(node: Any) -> int:
        children = (
            node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        )
        return sum(1 + count(child) for child in children) + (node in ({}, []))  # fmt: skip

    body, values = json.dumps(tree).encode(), count(tree)

    assert parse(body, max_values=values) == tree
    with pytest.raises(InvalidRequestBodyError, match="values"):
        parse(body, max_values=values - 1)


def test_a_string_without_an_end_is_looked_through_once() -> None:
    with pytest.raises(InvalidRequestBodyError):
        parse(b'{"a":"' + b'\\"x,' * 200_000, max_values=10)
