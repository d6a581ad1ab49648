"""What a spreadsheet would run, it is given as text, and text comes back as it was."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.csv_cell import guarded, unguarded


@pytest.mark.parametrize(
    "text", ["=1+1", "+49 30 1", "-cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "--1"]
)
def test_a_formula_is_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["x;=1+1", "x; @SUM(1)", "x;-1", "x;'=1"])
def test_a_formula_behind_a_semicolon_is_guarded(text: str) -> None:
    """K13: a spreadsheet of a country that writes 0,5 cuts cells there; request tags are the holders' own words."""
    before, sign, rest = re.split(r"(?=['=@-])", text, maxsplit=1)[0], "'", text
    assert guarded(text) == before + sign + rest.removeprefix(before)


@pytest.mark.parametrize(
    "text", ["", "Ada", "a; b", "1;2", "4711", "-0.25", "-3", "sk-tuck-x", "a=b", "'quoted'"]
)
def test_what_is_none_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text == unguarded(text)


def test_digits_that_were_kept_as_text_come_back() -> None:
    assert unguarded('="0042"') == "0042"


@given(st.text() | st.text("';=-@ \t1a"))
def test_no_cell_that_goes_out_can_be_run_and_it_comes_back(text: str) -> None:
    cell = guarded(text)

    assert not cell.startswith(("=", "+", "@", "\t", "\r"))
    assert not re.search(r";\s*[=+@-]", cell)
    if cell != text:
        assert unguarded(cell) == text
