from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.globs import can_overlap, matches

_TEXT = st.text("ab/*", max_size=12)
_NAME = st.text("ab/", max_size=12)


@given(glob=_TEXT, name=_NAME)
def test_a_star_is_any_run_of_characters_but_no_slash(glob: str, name: str) -> None:
    pattern = "[^/]*".join(re.escape(piece) for piece in re.sub(r"\*+", "*", glob).split("*"))

    assert matches(glob, name) is (re.fullmatch(pattern, name) is not None)


@pytest.mark.parametrize(
    ("glob", "name", "covered"),
    [
        ("gpt-4o-mini", "gpt-4o-mini", True),
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", False),
        ("gpt-4o-mini", "GPT-4o-mini", False),
        ("gpt-4o-mini", " gpt-4o-mini", False),
        ("gpt-4o*", "gpt-4o", True),
        ("*", "", True),
        ("*", "a/b", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("?", "a", False),
        ("ab*ba", "aba", False),
    ],
)
def test_nothing_but_the_star_is_special(glob: str, name: str, covered: bool) -> None:
    """K9: exact ids; no trimming, case folding or prefixes."""
    assert matches(glob, name) is covered


def test_a_long_name_and_many_stars_end() -> None:
    assert not matches("*a" * 2_000 + "b", "a" * 20_000)


@given(glob=_TEXT, other=_TEXT, name=_NAME)
def test_globs_that_share_a_name_overlap(glob: str, other: str, name: str) -> None:
    if matches(glob, name) and matches(other, name):
        assert can_overlap(glob, other)
        assert can_overlap(other, glob)


@pytest.mark.parametrize(
    ("glob", "other", "expected"),
    [
        ("gpt-*", "*-mini", True),
        ("gpt-*", "text-*", False),
        ("a*b", "b*a", False),
        ("*a*", "*b*", True),
        ("*", "a/*", False),
        ("a/*", "*/b", True),
        ("gpt-4", "gpt-*", True),
        ("gpt-4", "gpt-5", False),
        ("a*", "*a", True),
    ],
)
def test_overlap_is_told_from_none(glob: str, other: str, expected: bool) -> None:
    assert can_overlap(glob, other) is expected
    assert can_overlap(other, glob) is expected
