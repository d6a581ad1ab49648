"""How two published lists become one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tools.build_prices import Listing, LiteLlm, base_of, image_rule, merged, nano, redated

from tests.unit.pricing.rows import chat

OURS = {"input": 4_000, "cached_input": 400, "output": 20_000}


def test_the_dust_of_a_float_is_rounded_up() -> None:
    assert nano(Decimal("2.5")) == 2_500_000_000
    assert nano(Decimal("0.18000000000000002")) == 180_000_001


def test_of_two_rates_the_dearer_stands() -> None:
    theirs = {"input": 5_000, "cached_input": 300, "output": 20_000}

    rates, taken = merged(Listing(plain=OURS), Listing(plain=theirs))

    assert rates == {"input": 5_000, "cached_input": 400, "output": 20_000}
    assert taken == {"input"}


def test_a_discount_that_only_one_list_states_is_not_taken_and_a_surcharge_is() -> None:
    ours = {"input": 4_000, "output": 20_000}
    theirs = {"input": 4_000, "cached_input": 400, "cache_write": 5_000, "output": 20_000}

    rates, taken = merged(Listing(plain=ours), Listing(plain=theirs))

    assert "cached_input" not in rates
    assert rates["cache_write"] == 5_000
    assert taken == {"cache_write"}


def test_a_cliff_that_only_one_list_has_stands() -> None:
    long = {"input": 8_000, "cached_input": 800, "output": 30_000}
    listing = Listing(plain=OURS, long=long, start=272_000)

    for first, second in ((listing, Listing(plain=OURS)), (Listing(plain=OURS), listing)):
        rates, _ = merged(first, second)
        assert rates["long_context_start"] == 272_000
        assert rates["long_input"] == 8_000
        assert rates["long_output"] == 30_000


def test_two_different_cliffs_need_a_person() -> None:
    one, other = (
        Listing(plain=OURS, long={"input": 8_000, "output": 30_000}, start=start)
        for start in (200_000, 272_000)
    )

    with pytest.raises(SystemExit, match="disagree"):
        merged(one, other)


def test_where_it_is_not_stated_12_hours_in_the_cache_cost_twice_the_usual_write() -> None:
    rates, _ = merged(Listing(plain=OURS | {"cache_write": 5_000}), Listing(plain={}))

    assert rates["cache_write_12h"] == 10_000


def test_without_a_row_of_the_first_list_the_second_is_used() -> None:
    rates, taken = merged(None, Listing(plain=OURS))

    assert rates == OURS
    assert "input" in taken


def test_the_second_list_is_read_as_decimal_text() -> None:
    row = {
        "input_cost_per_token": Decimal("4e-06"),
        "output_cost_per_token": Decimal("0.0"),
        "cache_creation_input_token_cost_above_12hr": Decimal("8e-06"),
        "input_cost_per_token_above_272k_tokens": Decimal("8e-06"),
        "input_cost_per_token_above_272k_tokens_flex": Decimal("4e-06"),
    }

    listing = LiteLlm(version="1", rows={"m": row}).listing("m")

    assert listing.plain == {"input": 4_000_000_000, "cache_write_12h": 8_000_000_000}
    assert listing.long == {"input": 8_000_000_000}
    assert listing.start == 272_000


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("a-2026-01-31", "a"),
        ("a-0125", "a"),
        ("b-0125", None),
        ("a", None),
        ("a-16k", None),
        ("a-20260131", None),
    ],
)
def test_a_snapshot_is_dated_and_its_base_is_listed(model: str, base: str | None) -> None:
    assert base_of(model, {"a", "a-0125", "a-16k"}) == base


def test_a_row_that_says_the_same_keeps_its_date_and_id() -> None:
    old, same, changed = chat(), chat(dated=date(2027, 1, 1)), chat(input=3, dated=date(2027, 1, 1))

    assert redated([same], {"test-chat": old}) == [old]
    assert redated([changed], {"test-chat": old}) == [changed]
    assert redated([same], {}) == [same]


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("gpt-4o-mini-2024-07-18", "tiles-2833-5667"),
        ("gpt-4o-2024-08-06", "tiles-85-170"),
        ("gpt-4.1-mini", "patches-1536-x1.62"),
        ("gpt-4.1", "tiles-85-170"),
        ("gpt-5", "tiles-70-140"),
        ("gpt-5.1", "flat-1844"),
        ("gpt-5.1-codex-mini", "flat-2489"),
        ("gpt-5.4-nano", "patches-1536-x2.46"),
        ("gpt-5.5-pro", "patches-10000-x1.2"),
        ("gpt-5.6-luna", "patches-unlimited-x1.2"),
        ("gpt-6.1-terra", "patches-unlimited-x1.2"),
        ("o3-pro", "tiles-75-150"),
        ("o4-mini", "patches-1536-x1.72"),
        ("o3-mini", None),
        ("gpt-5.3-chat-latest", None),
        ("chat-latest", None),
        ("gpt-4", None),
    ],
)
def test_how_a_model_bills_images_is_told_by_the_first_rule_for_its_name(
    model: str, rule: str | None
) -> None:
    assert image_rule(model) == rule
