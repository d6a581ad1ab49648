"""What is held is never less than what a call can cost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.pricing.rows import LIST, chat, embedding, every_row, usages
from tuckshop.domain.reservation import HoldTerms
from tuckshop.pricing.bound import EMBEDDING_CALL_MAX_TOKENS, input_bound, terms_of
from tuckshop.pricing.cost import Usage, cost_of
from tuckshop.pricing.prices import ModelPrice


def held(terms: HoldTerms, *, input_tokens: int, output_tokens: int) -> int:
    """What the ledger holds, by reliability's formula."""
    undivided = (
        input_tokens * terms.input_nano_per_million + output_tokens * terms.output_nano_per_million
    )
    return -(-undivided // 1_000_000) + terms.fees_nano


def test_the_bound_counts_bytes_and_what_the_provider_adds() -> None:
    assert input_bound(text_bytes=0) == 64
    assert input_bound(text_bytes=100, messages=2) == 64 + 100 + 32
    assert input_bound(text_bytes=0, tools=3, schema_properties=5) == 64 + 96 + 40
    assert input_bound(text_bytes=0, token_ids=7) == 64 + 7


def test_the_bound_is_capped_by_what_the_model_takes_in() -> None:
    """Longer input is answered with an error that is not billed."""
    price = chat(context_tokens=1_000, max_input_tokens=900)

    assert input_bound(text_bytes=10_000, price=price) == 1_000
    assert input_bound(text_bytes=100, price=price) == 164
    assert input_bound(text_bytes=9, price=chat(context_tokens=None, max_input_tokens=None)) == 73


def test_embeddings_are_capped_by_what_one_call_takes_in_all() -> None:
    """The model's maximum is per text, and a call has many."""
    assert input_bound(text_bytes=90_000, messages=1, price=embedding()) == 90_080
    assert input_bound(text_bytes=10**7, price=embedding()) == EMBEDDING_CALL_MAX_TOKENS


def test_a_hold_is_computed_at_the_dearest_rate_that_can_apply() -> None:
    price = LIST.find("gpt-5.6-sol")
    assert price is not None

    short = terms_of(price, input_bound=272_000, may_keep_12h=False)
    long = terms_of(price, input_bound=272_001, may_keep_12h=False)
    kept = terms_of(price, input_bound=272_000)

    assert short.input_nano_per_million == 5_000_000_000  # a cache write, not the $4 of input
    assert short.output_nano_per_million == 20_000_000_000
    assert long.input_nano_per_million == 10_000_000_000
    assert long.output_nano_per_million == 30_000_000_000
    assert kept.input_nano_per_million == 10_000_000_000
    assert short.price_id == long.price_id == price.price_id  # M11


def test_a_hold_of_a_free_model_is_nothing() -> None:
    price = LIST.find("text-moderation-latest")
    assert price is not None

    assert held(terms_of(price, input_bound=10**6), input_tokens=10**6, output_tokens=0) == 0


def test_long_context_rates_below_the_plain_ones_do_not_lower_a_hold() -> None:
    """The true input may stay below the start where its bound passes it."""
    price = chat(long_context_start=10, long_input=1, long_output=1)

    terms = terms_of(price, input_bound=1_000)

    assert terms.input_nano_per_million == price.input
    assert terms.output_nano_per_million == price.output


@pytest.mark.parametrize("price", LIST.rows(), ids=lambda price: price.model)
def test_the_hold_covers_the_cost_at_the_corners_of_every_row(price: ModelPrice) -> None:
    """M5, M11: input all plain, cached, written or kept, at and around the cliff."""
    start = price.long_context_start or 1_000
    cap = price.max_output_tokens or 0
    for bound in (1, start - 1, start, start + 1, 1_200_000):
        terms = terms_of(price, input_bound=bound)
        hold = held(terms, input_tokens=bound, output_tokens=cap)
        for total in {1, bound - 1, bound, min(bound, start), min(bound, start + 1)}:
            for usage in (
                Usage(total, 0, 0, cap),
                Usage(total, total, 0, cap),
                Usage(total, 0, total, cap),
                Usage(total, 0, total, cap, total),
            ):
                assert cost_of(usage, price) <= hold


@given(data=st.data(), price=every_row, bound=st.integers(0, 1_200_000))
@settings(max_examples=100, deadline=None)
def test_the_hold_covers_any_usage_within_the_bound(
    data: st.DataObject, price: ModelPrice, bound: int
) -> None:
    cap = data.draw(st.integers(0, price.max_output_tokens or 0))
    usage = data.draw(usages(most_input=bound, most_output=cap))
    hold = held(terms_of(price, input_bound=bound), input_tokens=bound, output_tokens=cap)

    assert cost_of(usage, price) <= hold


@given(
    price=st.builds(chat, cached_input=st.integers(1, 10**10), cache_write=st.integers(1, 10**10))
)
@settings(max_examples=50, deadline=None)
def test_the_hold_covers_odd_overrides_too(price: ModelPrice) -> None:
    """Staff may state a cached rate above the input rate."""
    hold = held(terms_of(price, input_bound=100), input_tokens=100, output_tokens=0)

    for usage in (Usage(100), Usage(100, 100), Usage(100, 0, 100), Usage(100, 0, 100, 0, 100)):
        assert cost_of(usage, price) <= hold


@given(text=st.text(max_size=200), more=st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_a_longer_body_never_has_a_smaller_bound(text: str, more: int) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    bound = input_bound(text_bytes=size, messages=1)

    assert bound >= size
    assert input_bound(text_bytes=size + more, messages=1 + more, tools=more) >= bound
