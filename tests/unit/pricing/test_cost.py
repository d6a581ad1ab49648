"""What a call cost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.pricing.rows import LIST, chat, embedding, every_row, usages
from tuckshop.pricing.cost import Usage, cost_of, dearer
from tuckshop.pricing.prices import ModelPrice

LIKELY = usages(most_input=400_000, most_output=130_000)
CLIFF = {
    "long_context_start": 1_000,
    "long_input": 4_000_000_000,
    "long_output": 12_000_000_000,
}


def test_a_call_costs_its_tokens_at_the_list_price() -> None:
    price = LIST.find("gpt-4o-mini")
    assert price is not None

    cost = cost_of(Usage(1_000_000, 0, 0, 1_000_000), price)

    assert cost == 150_000_000 + 600_000_000  # $0.15 in, $0.60 out


def test_cached_and_cache_write_tokens_are_parts_of_the_input() -> None:
    price = chat(cached_input=1_000_000_000, cache_write=2_500_000_000)

    cost = cost_of(Usage(1_000, cached_tokens=300, cache_write_tokens=200), price)

    assert cost == 500 * 2_000 + 300 * 1_000 + 200 * 2_500


def test_what_is_kept_for_12_hours_costs_its_own_rate() -> None:
    price = chat(cache_write=2_500_000_000, cache_write_12h=4_000_000_000)

    cost = cost_of(Usage(100, 0, 100, 0, cache_write_12h_tokens=40), price)

    assert cost == 60 * 2_500 + 40 * 4_000


def test_a_rate_that_is_not_stated_is_the_input_rate() -> None:
    """M9: no discount is assumed."""
    assert cost_of(Usage(100, 60, 40), chat()) == 100 * 2_000


def test_the_sum_is_rounded_up_once() -> None:
    price = chat(input=100_000, cached_input=100_000, output=100_000)  # a tenth of a nano-dollar

    assert cost_of(Usage(1, 0, 0, 0), price) == 1
    assert cost_of(Usage(2, 1, 0, 1), price) == 1
    assert cost_of(Usage(10, 5, 0, 1), price) == 2
    assert cost_of(Usage(0, 0, 0, 0), price) == 0


def test_beyond_the_cliff_every_token_costs_more() -> None:
    price = chat(**CLIFF)

    assert cost_of(Usage(1_000, 0, 0, 10), price) == 1_000 * 2_000 + 10 * 8_000
    assert cost_of(Usage(1_001, 0, 0, 10), price) == 1_001 * 4_000 + 10 * 12_000


def test_cached_tokens_count_towards_the_cliff() -> None:
    price = chat(**CLIFF, cached_input=200_000_000, long_cached_input=400_000_000)

    assert cost_of(Usage(1_001, cached_tokens=1_001), price) == 1_001 * 400


def test_free_models_cost_nothing() -> None:
    price = LIST.find("omni-moderation-latest")
    assert price is not None

    assert price.free
    assert cost_of(Usage(10_000), price) == 0


def test_output_of_a_model_without_an_output_price_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="no output price"):
        cost_of(Usage(10, 0, 0, 1), embedding())

    assert cost_of(Usage(1_000_000), embedding()) == 20_000_000


@pytest.mark.parametrize(
    "usage",
    [
        Usage(-1),
        Usage(10, cached_tokens=-1),
        Usage(10, cache_write_tokens=-1),
        Usage(10, output_tokens=-1),
        Usage(10, cached_tokens=11),
        Usage(10, cached_tokens=6, cache_write_tokens=5),
        Usage(10, cache_write_tokens=5, cache_write_12h_tokens=6),
        Usage(10, cache_write_12h_tokens=-1),
    ],
    ids=str,
)
def test_counts_that_cannot_be_have_no_cost(usage: Usage) -> None:
    assert not usage.is_consistent
    for price in (chat(), embedding(free=True, input=None)):
        with pytest.raises(ValueError, match="cannot be"):
            cost_of(usage, price)


def test_of_the_asked_and_the_answered_model_the_dearer_is_charged() -> None:
    cheap, dear = LIST.find("gpt-4o"), LIST.find("gpt-4o-2024-05-13")
    assert cheap is not None
    assert dear is not None
    usage = Usage(100, 0, 0, 100)

    assert dearer(usage, cheap, dear) == cost_of(usage, dear)
    assert dearer(usage, dear, cheap) == cost_of(usage, dear)
    assert dearer(usage, cheap, cheap) == cost_of(usage, cheap)


def test_an_answering_model_that_gives_nothing_out_is_not_believed() -> None:
    usage = Usage(100, 0, 0, 100)

    assert dearer(usage, chat(), embedding(input=9_000_000_000_000)) == cost_of(usage, chat())


def test_a_free_answering_model_makes_nothing_free() -> None:
    """M11."""
    free = embedding(free=True, input=None)

    assert dearer(Usage(100), chat(), free) == cost_of(Usage(100), chat())


@given(price=every_row, usage=LIKELY, more=st.integers(0, 5_000))
@settings(max_examples=100, deadline=None)
def test_more_tokens_never_cost_less(price: ModelPrice, usage: Usage, more: int) -> None:
    if price.output is None:
        usage = replace(usage, output_tokens=0)
    cost = cost_of(usage, price)

    assert cost_of(replace(usage, input_tokens=usage.input_tokens + more), price) >= cost
    assert cost_of(replace(usage, cached_tokens=0), price) >= cost
    if price.output is not None:
        assert cost_of(replace(usage, output_tokens=usage.output_tokens + more), price) >= cost


@given(price=every_row, usage=LIKELY)
@settings(max_examples=50, deadline=None)
def test_a_split_call_never_costs_less_than_its_parts_below_the_cliff(
    price: ModelPrice, usage: Usage
) -> None:
    """Rounding is up: two calls cost at most one nano-dollar more than both in one."""
    usage = Usage(usage.input_tokens // 4, 0, 0, 0)
    both = Usage(usage.input_tokens * 2)
    if price.long_context_start is not None and both.input_tokens > price.long_context_start:
        return

    assert 0 <= 2 * cost_of(usage, price) - cost_of(both, price) <= 1
