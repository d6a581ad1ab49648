"""Cursors."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.errors import InvalidFieldError
from tuckshop.services.paging import cursor_after, mark_of, position_of


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_a_cursor_leads_back_to_its_mark(mark: str) -> None:
    assert mark_of(cursor_after(mark)) == mark


@given(st.text())
def test_anything_else_is_refused_or_a_mark_never_a_failure(cursor: str) -> None:
    with suppress(InvalidFieldError):
        assert isinstance(mark_of(cursor), str)


@pytest.mark.parametrize("mark", ["", "x", "-1", "1" * 19, "1.5"])
def test_a_position_is_a_number(mark: str) -> None:
    with pytest.raises(InvalidFieldError):
        position_of(cursor_after(mark))


def test_no_cursor_is_the_beginning() -> None:
    assert mark_of(None) is None
    assert position_of(None) is None
