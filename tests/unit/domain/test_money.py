from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.money import MAX_NANO_USD, format_usd, parse_usd, usd


@given(nano=st.integers(0, MAX_NANO_USD))
def test_every_amount_prints_and_reads_back_without_losing_a_digit(nano: int) -> None:
    assert parse_usd(format_usd(nano).removeprefix("$")) == nano
    assert parse_usd(f"{usd(nano):f}") == nano
    assert usd(nano) * 10**9 == nano


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0"),
        (1, "$0.000000001"),
        (200_000_000, "$0.20"),
        (205_000_000, "$0.205"),
        (50_000_000_000, "$50"),
        (100_000_000_000_000, "$100000"),
        (-200_000_000, "-$0.20"),
        (MAX_NANO_USD, "$9223372036.854775807"),
    ],
)
def test_money_is_printed_as_people_write_it(nano: int, text: str) -> None:
    assert format_usd(nano) == text


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0", 0),
        ("1", 10**9),
        ("0.20", 2 * 10**8),
        ("00.1000000000000", 10**8),
        ("9223372036.854775807", MAX_NANO_USD),
    ],
)
def test_decimals_are_read_exactly(text: str, nano: int) -> None:
    assert parse_usd(text) == nano


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "1.", ".5", "-1", "-0", "+1", "1e3", "1_000", "1,000", " 1", "1\n", "$1"),
        *("NaN", "Infinity", "٣", "0x10", "1.2.3"),
        "9223372036.854775808",
        "0.0000000001",
        "0.1" + "0" * 40 + "1",
        "9" * 100_000,
    ],
)
def test_what_is_not_a_plain_amount_is_refused(text: str) -> None:
    """Section 1: no float ever touches money, and nothing is rounded on the way in."""
    with pytest.raises(ValueError, match=r"amount of money|nano-dollar|be counted"):
        parse_usd(text)


def test_usd_for_json_has_no_exponent_and_no_trailing_zeros() -> None:
    assert str(usd(100 * 10**9)) == "100"
    assert str(usd(200_000_000)) == "0.2"
    assert usd(1) == Decimal("0.000000001")
