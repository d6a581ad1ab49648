"""What the made-up model answers in JSON matches the schema it was given."""

from __future__ import annotations

import math
from typing import Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tuckshop.mock_upstream.schema_answer import matching


class Roll(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = Field(min_length=3, max_length=40)
    price: float = Field(gt=0, le=2)
    count: int = Field(ge=5, le=7)
    kind: Literal["sweet", "salty"]
    note: str | None


class Tray(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    rolls: list[Roll] = Field(min_length=2, max_length=3)
    fresh: bool
    below: Optional[Tray] = None  # noqa: UP045 - a forward reference to itself
    beside: list[Tray] = []


@given(seed=st.integers(min_value=0, max_value=1 << 32))
def test_a_nested_recursive_model_is_matched(seed: int) -> None:
    value = matching(Tray.model_json_schema(), seed)

    TypeAdapter(Tray).validate_python(value)
    assert matching(Tray.model_json_schema(), seed) == value


@pytest.mark.parametrize(
    ("schema", "check"),
    [
        ({"const": 7}, lambda value: value == 7),
        ({"type": ["null", "integer"]}, lambda value: isinstance(value, int)),
        ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5}, lambda v: v == 4),
        ({"type": "integer", "maximum": -3}, lambda value: value <= -3),
        ({"type": "number", "multipleOf": 0.25, "minimum": 1}, lambda v: math.isclose(v % 0.25, 0)),
        ({"type": "string", "format": "date"}, lambda value: value == "2026-11-23"),
        ({"type": "array", "minItems": 4}, lambda value: len(value) == 4),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"required": ["a"]}]},
            lambda v: v == {"a": 1},
        ),
        ({"oneOf": [{"type": "boolean"}, {"type": "string"}]}, lambda v: isinstance(v, bool)),
        ({}, lambda value: isinstance(value, str)),
        (True, lambda value: value == {}),
    ],
)
def test_keywords_are_kept(schema: Any, check: Any) -> None:
    for seed in range(20):
        assert check(matching(schema, seed))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}]},
    ],
)
def test_schemas_that_go_in_circles_end(schema: Any) -> None:
    matching(schema, 1)
