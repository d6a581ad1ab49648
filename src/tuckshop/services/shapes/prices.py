"""The price list."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from tuckshop.services.shapes.parts import Sent, Shown, Usd

ModelFamily = Literal["chat", "responses", "completion", "embedding", "moderation"]
_Tokens = Annotated[int, Meta(ge=1, le=100_000_000)]
_Units = Annotated[dict[str, Usd], Meta(description="USD per 1,000,000 tokens of each unit")]


class LongContext(Sent, frozen=True, kw_only=True):
    """What a call costs as soon as its input is more than `above` tokens."""

    above: _Tokens
    units: _Units


class PriceOverride(Sent, frozen=True, kw_only=True):
    """
    What a model of an upstream costs from some time on; without `effective_from`, from now on.

    `units` null takes back what was said. What is left out of family and maxima is as in the price list.
    """

    upstream: str
    model: str
    units: _Units | None = None
    free: bool = False
    effective_from: str | None = None
    family: ModelFamily | UnsetType = UNSET
    context_tokens: _Tokens | UnsetType = UNSET
    max_output_tokens: _Tokens | UnsetType = UNSET
    reasons: bool | UnsetType = UNSET
    long_context: LongContext | UnsetType | None = UNSET


class NextPrice(Shown, frozen=True, kw_only=True):
    """What it costs after that; `units` null: what the list of the package says."""

    effective_from: str
    units: dict[str, Usd] | None
    free: bool


class PriceShape(Shown, frozen=True, kw_only=True):
    """A model's price: US dollars per 1,000,000 tokens of each unit. Without `origin` it has none yet."""

    upstream: str
    model: str
    family: ModelFamily | None
    units: dict[str, Usd]
    long_context: LongContext | None
    free: bool
    origin: Literal["built_in", "override"] | None
    effective_from: str | None  # built in: the day on which the source said so
    next: NextPrice | None
    context_tokens: int | None
    max_output_tokens: int | None
    reasons: bool
    images: str | None  # the rule by which images count as input; null: it takes none
    source: str | None


class PricePage(Shown, frozen=True, kw_only=True):
    """The price list in force, whole."""

    data: list[PriceShape]
    next_cursor: None = None
