"""The price list: its data, and what it finds."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tools.build_prices import LIST as FILE
from tools.build_prices import PAGE, as_text, with_table

from tests.unit.pricing.rows import LIST, chat, embedding
from tuckshop.pricing import prices as module
from tuckshop.pricing.prices import ModelPrice, PriceList, nearest

ROWS = LIST.rows()


def nano(usd_per_million: str) -> int:
    """Nano-USD per million, as the list keeps it."""
    return int(Decimal(usd_per_million) * 10**9)


# USD per 1,000,000 tokens, read from the providers' price page, not from the file: in, cached, out, max in, max out.
KNOWN = {
    "gpt-3.5-turbo": ("0.5", None, "1.5", 16_385, 4_096),
    "gpt-3.5-turbo-0125": ("0.5", None, "1.5", 16_385, 4_096),
    "gpt-3.5-turbo-1106": ("1", None, "2", 16_385, 4_096),
    "gpt-4o": ("2.5", "1.25", "10", 128_000, 16_384),
    "gpt-4o-2024-05-13": ("5", None, "15", 128_000, 4_096),
    "gpt-4o-mini": ("0.15", "0.075", "0.6", 128_000, 16_384),
    "gpt-4o-mini-2024-07-18": ("0.15", "0.075", "0.6", 128_000, 16_384),
    "gpt-4.1": ("2", "0.5", "8", 1_047_576, 32_768),
    "gpt-4.1-mini": ("0.4", "0.1", "1.6", 1_047_576, 32_768),
    "gpt-4.1-nano": ("0.1", "0.025", "0.4", 1_047_576, 32_768),
    "o3": ("2", "0.5", "8", 200_000, 100_000),
    "o4-mini": ("1.1", "0.275", "4.4", 200_000, 100_000),
    "gpt-5": ("1.25", "0.125", "10", 272_000, 128_000),
    "gpt-5.1": ("1.25", "0.125", "10", 272_000, 128_000),
    "gpt-5-mini": ("0.25", "0.025", "2", 272_000, 128_000),
    "gpt-5-nano": ("0.05", "0.005", "0.4", 272_000, 128_000),
    "gpt-5.2": ("1.75", "0.175", "14", 272_000, 128_000),
    "gpt-5.4": ("2.5", "0.25", "15", 1_050_000, 128_000),
    "gpt-5.4-mini": ("0.75", "0.075", "4.5", 272_000, 128_000),
    "gpt-5.4-nano": ("0.2", "0.02", "1.25", 272_000, 128_000),
    "gpt-5.5": ("5", "0.5", "30", 1_050_000, 128_000),
    "gpt-5.6-sol": ("4", "0.4", "20", 922_000, 128_000),
    "gpt-5.6-terra": ("2", "0.2", "12", 922_000, 128_000),
    "gpt-5.6-luna": ("0.2", "0.02", "1.2", 922_000, 128_000),
    "gpt-6-astra": ("10", "1", "50", 922_000, 128_000),
    "gpt-6-sol": ("2", "0.2", "10", 922_000, 128_000),
    "gpt-6-luna": ("0.1", "0.01", "0.5", 922_000, 128_000),
    "gpt-6.1-sol": ("2", "0.1", "10", 922_000, 128_000),
    "gpt-6.1-terra": ("1", "0.05", "5", 922_000, 128_000),
    "text-embedding-3-small": ("0.02", None, None, 8_191, None),
    "text-embedding-3-large": ("0.13", None, None, 8_191, None),
    "text-embedding-ada-002": ("0.1", None, None, 8_191, None),
}
CLIFF = ("gpt-5.4", "gpt-5.5", "gpt-5.6-sol", "gpt-5.6-luna", "gpt-6-astra", "gpt-6.1-terra")
WRITES = ("gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-6-sol", "gpt-6.1-sol")


@pytest.mark.parametrize("model", KNOWN)
def test_the_list_states_the_known_prices_and_limits(model: str) -> None:
    price = LIST.find(model)
    assert price is not None
    full, cached, output, most_in, most_out = KNOWN[model]

    assert price.input == nano(full)
    assert price.cached_input == (nano(cached) if cached else None)
    assert price.output == (nano(output) if output else None)
    assert (price.max_input_tokens, price.max_output_tokens) == (most_in, most_out)


@pytest.mark.parametrize("model", CLIFF)
def test_beyond_the_cliff_input_doubles_and_output_costs_half_as_much_again(model: str) -> None:
    price = LIST.find(model)
    assert price is not None
    assert price.input is not None
    assert price.output is not None

    assert price.long_context_start == 272_000
    assert price.long_input == 2 * price.input
    assert price.long_output == price.output * 3 // 2


@pytest.mark.parametrize("model", WRITES)
def test_newer_models_bill_cache_writes(model: str) -> None:
    price = LIST.find(model)
    assert price is not None
    assert price.input is not None

    assert price.cache_write == price.input * 5 // 4
    assert price.cache_write_12h == 2 * price.cache_write


@pytest.mark.parametrize("price", ROWS, ids=lambda price: price.model)
def test_every_row_is_complete_dated_and_sourced(price: ModelPrice) -> None:
    assert re.search(r"\d+\.\d+\.\d+", price.source) or price.free
    assert price.source
    assert price.dated >= date(2026, 11, 23)
    assert price.max_input_tokens
    assert price.context_tokens
    assert price.context_tokens >= price.max_input_tokens
    assert price.free == (price.family == "moderation")
    assert re.fullmatch(r"[0-9a-f]{16}", price.price_id)
    if price.base:
        base = LIST.find(price.base)
        assert base is not None
        assert base.base is None
        assert base.family == price.family
        assert price.aliases == (price.base,)


def test_price_ids_tell_rows_apart() -> None:
    assert len({row.price_id for row in ROWS}) == len(ROWS)


def test_reasoning_models_take_the_cap_in_the_field_they_obey() -> None:
    for price in ROWS:
        newer = price.reasons or re.match(r"gpt-[5-9]|o\d", price.model)
        if price.family == "chat":
            assert price.cap_field == ("max_completion_tokens" if newer else "max_tokens")
        else:
            assert price.cap_field is None
    assert all(row.reasons for row in ROWS if re.match(r"o[134]", row.model))


def test_search_models_are_marked_and_other_units_are_left_out() -> None:
    assert {row.model for row in ROWS if row.search} == {
        row.model for row in ROWS if "-search-" in row.model
    }
    assert any(row.search for row in ROWS)
    for row in ROWS:
        assert not re.search("audio|realtime|image|tts|transcribe|whisper|deep-research", row.model)


@pytest.mark.parametrize(
    ("snapshot", "base"),
    [
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo"),
        ("gpt-3.5-turbo-16k", None),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-4-1106-preview", "gpt-4-turbo"),
        ("gpt-4.1-mini", None),
        ("omni-moderation-2024-09-26", "omni-moderation-latest"),
        ("text-embedding-ada-002-v2", "text-embedding-ada-002"),
        ("text-embedding-ada-002", None),
    ],
)
def test_a_snapshot_knows_its_undated_name(snapshot: str, base: str | None) -> None:
    price = LIST.find(snapshot)
    assert price is not None

    assert price.base == base


@pytest.mark.parametrize(
    "name",
    ["gpt-4o-2099-01-01", "gpt-4o-realtime", "openai/gpt-4o", "GPT-4o", "gpt-4o ", "", "ft:gpt-4o"],
)
def test_only_exact_names_are_found(name: str) -> None:
    """M9: no rule of ours guesses a price from how a name begins."""
    assert LIST.find(name) is None


def test_the_nearest_name_is_one_of_those_allowed() -> None:
    assert nearest("gpt-4o-mni", ["gpt-4o-mini", "gpt-4.1", "text-embedding-*"]) == "gpt-4o-mini"
    assert nearest("claude", ["gpt-4o-mini"]) is None
    assert nearest("gpt-4o", []) is None
    assert nearest("gpt-4o" * 1000, ["gpt-4o"]) is None


def test_a_row_survives_being_written_and_keeps_its_id() -> None:
    """M11: the settlement finds exactly the row that the hold was computed with."""
    for row in ROWS:
        again = ModelPrice.from_json(row.to_json())
        assert again == row
        assert again.price_id == row.price_id


def test_another_price_has_another_id() -> None:
    assert chat().price_id == chat().price_id
    assert chat(input=2_000_000_001).price_id != chat().price_id


def test_overrides_stand_before_the_list() -> None:
    own = chat(model="gpt-4o", input=1)

    prices = LIST.overridden([own, chat(model="llama")])

    assert prices.find("gpt-4o") == own
    assert prices.find("llama") is not None
    assert prices.find("gpt-4o-mini") == LIST.find("gpt-4o-mini")
    assert LIST.find("llama") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"input": None},
        {"input": 0},
        {"output": 0},
        {"cached_input": 0},
        {"input": -1},
        {"input": 2**60},
        {"output": None},
        {"max_output_tokens": None},
        {"cap_field": None},
        {"context_tokens": 0},
        {"free": True},
        {"long_input": 5},
        {"long_context_start": 1_000},
        {"long_context_start": 1_000, "long_input": 5},
        {"long_context_start": 1_000, "long_input": 5, "long_output": 6, "cache_write": 7},
    ],
    ids=str,
)
def test_a_row_that_could_not_be_charged_by_cannot_be_made(changes: dict[str, object]) -> None:
    """M11: free must be said; 0 or missing is not free."""
    with pytest.raises(ValueError, match="price of"):
        chat(**changes)


def test_an_embedding_model_has_no_output_rate() -> None:
    with pytest.raises(ValueError, match="others have none"):
        embedding(output=1)


def test_an_unknown_field_or_a_fraction_is_refused() -> None:
    text = chat().to_json()

    with pytest.raises(msgspec.ValidationError):
        ModelPrice.from_json(text.replace('"input":2000000000', '"input":2000000000.5'))
    with pytest.raises(msgspec.ValidationError):
        ModelPrice.from_json(text.replace('"base"', '"basis"'))


def test_the_file_is_as_the_build_writes_it() -> None:
    """One row a line, sorted, so that a change of one price is a change of one line."""
    assert FILE.read_text("utf-8") == as_text(list(ROWS))


def test_the_docs_page_shows_the_list() -> None:
    page = PAGE.read_text("utf-8")

    assert with_table(page, LIST) == page, "run: python tools/build_prices.py --docs"


def test_the_file_is_in_the_package() -> None:
    assert Path(module.__file__).with_name("prices.json") == FILE
    assert len(PriceList.load().rows()) == len(ROWS)
