"""Reading the values of fields."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tuckshop.domain.errors import InvalidFieldsError
from tuckshop.services import fields
from tuckshop.services.fields import Columns, InvalidValueError


def test_columns_hold_what_was_sent_and_null_unsets() -> None:
    columns = Columns()

    columns.set("title", "New", fields.text, unset="")
    columns.set("models", None, fields.models)
    columns.set("each", ["$1/mo"], fields.limits, unset="[]", column="each_limits")
    columns.set("endpoints", UNSET, fields.endpoints)

    assert columns.check() == {"title": "New", "models": None, "each_limits": '["$1/month"]'}


def test_columns_tell_everything_that_is_wrong() -> None:
    columns = Columns()

    columns.set("title", "x" * 201, fields.text)
    columns.set("each", ["$1/month", "$1/moon"], fields.limits)
    columns.refuse("tools", "is not available yet")

    with pytest.raises(InvalidFieldsError) as caught:
        columns.check()
    assert [error.field for error in caught.value.errors] == ["title", "each[1]", "tools"]


@given(st.integers(min_value=0, max_value=253_402_300_799_999_999))
def test_an_instant_survives_being_written_and_read(at_us: int) -> None:
    assert fields.instant_of_text(fields.rfc3339(at_us)) == at_us


def test_instants_are_written_in_utc_with_fractions_only_where_there_are_any() -> None:
    at_us = fields.instant(datetime(2026, 11, 30, 23, tzinfo=UTC))

    assert fields.rfc3339(at_us) == "2026-11-30T23:00:00Z"
    assert fields.rfc3339(at_us + 1) == "2026-11-30T23:00:00.000001Z"


@pytest.mark.parametrize("value", ["", "now", "2026-13-01", "2026-11-30T00:00:00", "1e9", "0"])
def test_what_is_no_instant_is_refused(value: str) -> None:
    with pytest.raises(InvalidValueError):
        fields.instant_of_text(value)


@pytest.mark.parametrize(
    ("value", "expected"), [("90s", 90), ("5m", 300), ("24h", 86_400), ("7d", 604_800)]
)
def test_stretches_of_time(value: str, expected: int) -> None:
    assert fields.seconds(value) == expected


@pytest.mark.parametrize(
    "value", ["ada@uni.example", "o'hara+x@münster.example", '"a b"'.replace(" ", "") + "@x"]
)
def test_addresses_are_taken_generously(value: str) -> None:
    assert fields.email(value) == value


@pytest.mark.parametrize("value", ["", "ada", "@x", "ada@", "a b@x", "a@x\n"])
def test_what_is_no_address_is_refused(value: str) -> None:
    if value == "a@x\n":
        assert fields.email(value) == "a@x"  # trimmed, as a roster's cell is
        return
    with pytest.raises(InvalidValueError):
        fields.email(value)


@given(st.text(max_size=300))
def test_text_is_one_line_or_refused(value: str) -> None:
    try:
        read = fields.text(value)
    except InvalidValueError:
        return
    assert len(read.splitlines()) <= 1
    assert fields.text(read) == read
