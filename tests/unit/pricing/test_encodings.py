"""Which models are counted with which vocabulary, and what a count saves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.pricing.bound import TOKENS_PER_TEXT, tokens_saved
from tuckshop.pricing.encodings import COUNTING, Counting, counting_of
from tuckshop.pricing.prices import PriceList

PRICES = PriceList.load()


@pytest.mark.parametrize(
    ("model", "counting"),
    [
        ("gpt-3.5-turbo", Counting("cl100k_base")),
        ("gpt-3.5-turbo-1106", Counting("cl100k_base")),
        ("gpt-4", Counting("cl100k_base")),
        ("gpt-3.5-turbo-instruct-0914", Counting("cl100k_base")),
        ("babbage-002", Counting("cl100k_base")),
        ("gpt-5-pro-2025-10-06", Counting("o200k_base")),
        ("gpt-5.2-codex", Counting("o200k_base", surplus_percent=10)),
        ("text-embedding-3-small", Counting("cl100k_base")),
        ("gpt-4o-mini-2024-07-18", Counting("o200k_base")),
        ("gpt-4.1", Counting("o200k_base")),
        ("o4-mini", Counting("o200k_base")),
        ("gpt-5-nano", Counting("o200k_base")),
        ("gpt-5.4-mini", Counting("o200k_base", surplus_percent=10)),
        ("gpt-6-sol", None),  # nobody told
        ("chat-latest", None),  # any model, at any time
        ("omni-moderation-latest", None),  # free
    ],
)
def test_a_model_is_counted_where_its_vocabulary_is_known(
    model: str, counting: Counting | None
) -> None:
    price = PRICES.find(model)

    assert price is not None
    assert counting_of(price) == counting


def test_every_name_of_the_table_is_priced() -> None:
    assert [name for name in COUNTING if PRICES.find(name) is None] == []


def test_what_a_count_saves_leaves_room_for_what_is_not_known() -> None:
    plain = tokens_saved(text_bytes=2500, tokens=500, line_marks=0, surplus_percent=0)
    likely = tokens_saved(text_bytes=2500, tokens=501, line_marks=0, surplus_percent=10)
    comment = tokens_saved(text_bytes=2500, tokens=500, line_marks=10, surplus_percent=0)

    assert (plain, likely, comment) == (
        2000 - TOKENS_PER_TEXT,
        2500 - 552 - TOKENS_PER_TEXT,
        1980 - TOKENS_PER_TEXT,
    )


@given(text_bytes=st.integers(0, 10**6), tokens=st.integers(0, 10**6), marks=st.integers(0, 1000))
def test_a_count_never_raises_the_bound_nor_lowers_it_below_itself(
    text_bytes: int, tokens: int, marks: int
) -> None:
    saved = tokens_saved(text_bytes=text_bytes, tokens=tokens, line_marks=marks, surplus_percent=0)

    assert saved >= 0
    assert saved == 0 or text_bytes - saved >= tokens
