"""
The price list: what each model costs and how much it takes in and gives out.

Rates are whole nano-USD per 1,000,000 tokens. They come from one data file in the package, `prices.json`, which
`tools/build_prices.py` builds; nothing is fetched. A model is found by its exact name: nothing is guessed from how a
name begins, since `gpt-4o-realtime` is not `gpt-4o` (docs/reference/pricing.md).
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property
from importlib import resources
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from tuckshop.pricing.images import ImageRule

Family = Literal["chat", "responses", "completion", "embedding", "moderation"]
CapField = Literal["max_tokens", "max_completion_tokens"]

GENERATING: Final = frozenset({"chat", "responses", "completion"})

_ID_LENGTH: Final = 16  # hex digits: 64 bits tell a few thousand price rows apart
_NAME_MAX: Final = 64  # longer names are compared with nothing: difflib takes quadratic time
RATE_MAX: Final = 2**53  # 9 million USD per million tokens; the ledger keeps rates in 64 bits


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What one token of each kind costs, in nano-USD per 1,000,000, once the size of the input is known."""

    input: int
    cached_input: int
    cache_write: int
    cache_write_12h: int
    output: int | None  # None: the model generates nothing, so output has no price


class ModelPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """
    One model: rates in nano-USD per 1,000,000 tokens, limits in tokens, and where that was read.

    A rate that is None is not stated: cached and cache-write tokens then cost what input costs. Free is said with
    `free`, never with a 0 (M11).
    """

    model: str
    family: Family
    base: str | None = None  # the undated name this is a snapshot of
    free: bool = False
    input: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None  # the usual lifetime, which nobody asks for
    cache_write_12h: int | None = None  # only where the call asks for that lifetime
    output: int | None = None
    # The cliff: as soon as the whole input is more than this, every token of the call costs the `long_` rates.
    long_context_start: int | None = None
    long_input: int | None = None
    long_cached_input: int | None = None
    long_cache_write: int | None = None
    long_cache_write_12h: int | None = None
    long_output: int | None = None
    context_tokens: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    reasons: bool = False
    cap_field: CapField | None = None  # the field in which the model takes an output cap
    images: ImageRule | None = (
        None  # how images are billed as input; None: it takes none, or nobody knows
    )
    search: bool = False  # searches the web unasked, for a fee per call that no token rate covers
    ends: date | None = None  # announced retirement; the model may answer on, so the price stays
    source: str
    dated: date

    def __post_init__(self) -> None:
        """Raise ValueError for a row that could not be charged by (msgspec reports it while decoding)."""
        problem = _problem(self)
        if problem:
            raise ValueError(f"price of {self.model!r}: {problem}")

    @cached_property
    def price_id(self) -> str:
        """Names this very content, so that a settlement can find what its hold was computed with (M11)."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:_ID_LENGTH]

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names whose limits bind this model too: a limit on `gpt-3.5-turbo` covers `gpt-3.5-turbo-1106`."""
        return (self.base,) if self.base else ()

    def to_json(self) -> str:
        """The row as canonical JSON text: sorted keys, nothing left out."""
        return msgspec.json.encode(self, order="sorted").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelPrice:
        """The row that `to_json` wrote, with the same `price_id`."""
        return msgspec.json.decode(text, type=cls)

    def rates_for(self, input_tokens: int) -> Rates:
        """
        The rates of a call with *input_tokens* of input in all.

        Raises:
            ValueError: The model is free, or has no input price.
        """
        start = self.long_context_start
        return self._rates if start is None or input_tokens <= start else self._long_rates

    @cached_property
    def _rates(self) -> Rates:
        return _rates(
            self,
            self.input,
            self.cached_input,
            self.cache_write,
            self.cache_write_12h,
            self.output,
        )

    @cached_property
    def _long_rates(self) -> Rates:
        return _rates(
            self,
            self.long_input,
            self.long_cached_input,
            self.long_cache_write,
            self.long_cache_write_12h,
            self.long_output,
        )

    @cached_property
    def takes_in(self) -> int | None:
        """
        The most input tokens of one text, as far as that is known.

        The wider of the two: sources differ on whether the output is part of the window.
        """
        return max(self.context_tokens or 0, self.max_input_tokens or 0) or None


class PriceList:
    """Prices by exact model name, and what costs something else at an upstream. Immutable."""

    def __init__(
        self,
        rows: Iterable[ModelPrice],
        overrides: Mapping[tuple[str, str], ModelPrice] = MappingProxyType({}),
    ) -> None:
        """
        A list of *rows*; of two rows of one model the later stands.

        Args:
            overrides: By upstream and model: what stands in place of a row there, or beside all of them.
        """
        self._by_model: Mapping[str, ModelPrice] = MappingProxyType(
            {row.model: row for row in rows}
        )
        self.overrides: Mapping[tuple[str, str], ModelPrice] = MappingProxyType(dict(overrides))

    @classmethod
    def load(cls) -> PriceList:
        """The list that is in the package."""
        text = resources.files("tuckshop.pricing").joinpath("prices.json").read_bytes()
        return cls(msgspec.json.decode(text, type=list[ModelPrice]))

    def overridden(self, rows: Iterable[ModelPrice]) -> PriceList:
        """This list with *rows* in place of those of the same models, and beside the others."""
        return PriceList((*self._by_model.values(), *rows))

    @property
    def now(self) -> PriceList:
        """Itself: a list that nothing is said about is in force for good."""
        return self

    def find(self, model: str, upstream: str = "") -> ModelPrice | None:
        """The price of exactly *model* at *upstream*; None where nobody stated one, so the call is refused (M9)."""
        return self.overrides.get((upstream, model)) or self._by_model.get(model)

    def models(self) -> list[str]:
        """The name of every model that has a price somewhere, sorted."""
        return sorted({*self._by_model, *(model for _, model in self.overrides)})

    def servable(self) -> list[str]:
        """Those of `models` that can be called: not the ones that search the web for a fee per call."""
        searching = {row.model for row in self._by_model.values() if row.search}
        return [model for model in self.models() if model not in searching]

    def rows(self) -> tuple[ModelPrice, ...]:
        """Every row, by name."""
        return tuple(self._by_model[model] for model in sorted(self._by_model))


def nearest(name: str, among: Iterable[str]) -> str | None:
    """The name in *among* that *name* was most likely meant to be; None where none is near. Globs are no names."""
    if len(name) > _NAME_MAX:
        return None
    names = sorted(other for other in among if "*" not in other and len(other) <= _NAME_MAX)
    found = difflib.get_close_matches(name, names, n=1)
    return found[0] if found else None


def _rates(
    price: ModelPrice,
    full: int | None,
    cached: int | None,
    write: int | None,
    write_12h: int | None,
    output: int | None,
) -> Rates:
    if full is None:
        raise ValueError(f"{price.model} has no input price")
    write = full if write is None else write
    return Rates(
        input=full,
        cached_input=full if cached is None else cached,
        cache_write=write,
        cache_write_12h=write if write_12h is None else write_12h,
        output=output,
    )


def _problem(price: ModelPrice) -> str | None:
    """Why a call could not be bounded or charged by this row, or None."""
    plain = (
        price.input,
        price.cached_input,
        price.cache_write,
        price.cache_write_12h,
        price.output,
    )
    long = (
        price.long_input,
        price.long_cached_input,
        price.long_cache_write,
        price.long_cache_write_12h,
        price.long_output,
    )
    rates = [rate for rate in plain + long if rate is not None]
    limits = (price.context_tokens, price.max_input_tokens, price.long_context_start)
    if any(limit is not None and limit <= 0 for limit in limits):
        return "a limit is not above 0"
    if price.free:
        return "it is free and yet has a rate" if rates else None
    if any(not 0 < rate <= RATE_MAX for rate in rates):
        return "a rate is not above 0, and free was not said"
    if price.input is None:
        return "no input rate"
    if (price.family in GENERATING) != (price.output is not None):
        return "models that generate have an output rate, others have none"
    if price.family in GENERATING and not price.max_output_tokens:
        return "no output limit"
    if price.family == "chat" and price.cap_field is None:
        return "no field to state an output limit in"
    if price.long_context_start is None:
        return (
            "long-context rates without a start" if any(rate is not None for rate in long) else None
        )
    paired = (
        (price.input, price.long_input),
        (price.cache_write, price.long_cache_write),
        (price.cache_write_12h, price.long_cache_write_12h),
        (price.output, price.long_output),
    )
    if any(stated is not None and beyond is None for stated, beyond in paired):
        return "a long-context rate is missing"
    return None
