"""The price list."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from tuckshop.pricing.prices import ModelPrice
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


class PriceRefresh(Sent, frozen=True, kw_only=True):
    """
    Another price list for an upstream: the rows of a `prices.json`, in nano-USD per 1,000,000 tokens.

    `accept_less`: models may cost less than now, or have smaller maxima. `replace_own`: also what was set by hand.
    """

    prices: Annotated[list[ModelPrice], Meta(min_length=1, max_length=2_000)]
    upstream: str = "openai"
    effective_from: str | None = None
    accept_less: bool = False
    replace_own: bool = False
    dry_run: bool = False


class PriceTerms(Shown, frozen=True, kw_only=True):
    """What a model costs and how much it takes in and gives out."""

    free: bool
    units: dict[str, Usd]
    long_context: LongContext | None
    family: ModelFamily
    snapshot_of: str | None
    context_tokens: int | None
    max_input_tokens: int | None
    max_output_tokens: int | None
    reasons: bool
    images: str | None
    cap_field: str | None
    searches: bool
    ends: str | None


class PriceDifference(Shown, frozen=True, kw_only=True):
    """
    A model whose price differs. Only `new`, `changed` and `pinned` ones are put.

    `kept` was set by hand, `gone` is not in the list that was sent, and `pinned` is a snapshot that keeps its price
    while its model gets another. `is_less`: something of it would be charged or held less than now.
    """

    model: str
    action: Literal["new", "changed", "pinned", "kept", "gone"]
    is_less: bool
    before: PriceTerms | None
    after: PriceTerms | None
    next_from: str | None  # another price is known to come then, and comes all the same


class PriceRefreshed(Shown, frozen=True, kw_only=True):
    """What another price list changes, or would."""

    data: list[PriceDifference]
    unchanged: int
    effective_from: str | None  # null: a dry run from now on
    dry_run: bool
