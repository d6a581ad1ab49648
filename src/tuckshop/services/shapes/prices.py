"""The price list."""

from __future__ import annotations

from typing import Literal

from tuckshop.services.shapes.parts import Shown, Usd


class LongContext(Shown, frozen=True, kw_only=True):
    """What a call costs as soon as its input is more than `above` tokens."""

    above: int
    units: dict[str, Usd]


class PriceShape(Shown, frozen=True, kw_only=True):
    """A model's price: US dollars per 1,000,000 tokens of each unit."""

    upstream: str
    model: str
    family: Literal["chat", "responses", "completion", "embedding", "moderation"]
    units: dict[str, Usd]
    long_context: LongContext | None
    free: bool
    effective_from: str  # the day on which the source said so
    context_tokens: int | None
    max_output_tokens: int | None
    reasons: bool
    images: str | None  # the rule by which images count as input; null: it takes none
    source: str


class PricePage(Shown, frozen=True, kw_only=True):
    """The price list in force, whole."""

    data: list[PriceShape]
    next_cursor: None = None
