"""The made-up tokens: at least a byte each, the same every time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuckshop.mock_upstream.markers import read_markers, without_markers
from tuckshop.mock_upstream.tokens import PIECES, count_text, prose, split_text


@given(text=st.text())
def test_a_text_has_no_more_tokens_than_bytes(text: str) -> None:
    size = len(text.encode())
    assert count_text(text) <= size
    assert count_text(text) >= size / 8
    assert len(split_text(text)) <= size
    assert "".join(split_text(text)) == text


@given(seed=st.integers(min_value=0), count=st.integers(min_value=0, max_value=1000))
def test_prose_has_the_length_asked_for_and_every_piece_says_something(
    seed: int, count: int
) -> None:
    pieces = prose(seed, count)

    assert len(pieces) == count
    assert all(piece.encode() for piece in pieces)
    assert pieces == prose(seed, count)
    assert all(PIECES)


def test_markers_are_read_and_taken_out() -> None:
    text = "Hello [[tokens:5]] there [[lockstep]] [[unknown:1]] [[tokens:6]]"

    assert read_markers(text) == {"tokens": "6", "lockstep": ""}
    assert without_markers(text) == "Hello  there  [[unknown:1]]"
