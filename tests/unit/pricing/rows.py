"""Made-up rows and random usage for the tests of pricing."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from hypothesis import strategies as st

from tuckshop.pricing.cost import Usage
from tuckshop.pricing.prices import ModelPrice, PriceList

LIST: Final = PriceList.load()
every_row = st.sampled_from(LIST.rows())

CHAT: Final[dict[str, Any]] = {
    "model": "test-chat",
    "family": "chat",
    "input": 2_000_000_000,
    "output": 8_000_000_000,
    "context_tokens": 128_000,
    "max_input_tokens": 128_000,
    "max_output_tokens": 16_384,
    "cap_field": "max_tokens",
    "source": "a test",
    "dated": date(2026, 11, 24),
}


def chat(**changes: Any) -> ModelPrice:
    """A chat model at $2 in and $8 out per million, but for *changes*."""
    return ModelPrice(**(CHAT | changes))


def embedding(**changes: Any) -> ModelPrice:
    """An embedding model at $0.02 per million."""
    row = {"family": "embedding", "input": 20_000_000, "model": "test-embedding"}
    nothing = {"output": None, "cap_field": None, "max_output_tokens": None}
    return ModelPrice(**(CHAT | row | nothing | changes))


@st.composite
def usages(draw: st.DrawFn, *, most_input: int, most_output: int) -> Usage:
    """Usage within the bounds, its input split in every way."""
    total = draw(st.integers(0, most_input))
    cached = draw(st.integers(0, total))
    written = draw(st.integers(0, total - cached))
    kept = draw(st.integers(0, written))
    return Usage(total, cached, written, draw(st.integers(0, most_output)), kept)
