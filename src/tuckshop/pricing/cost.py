"""What a call cost, from its usage and the price that was pinned when it was admitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tuckshop.domain.money import NanoUSD
from tuckshop.pricing.prices import ModelPrice

PER_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the upstream states them, likely or not. Reasoning tokens are part of the output."""

    input_tokens: int  # all of the input; cached and cache-write tokens are parts of it
    cached_tokens: int = 0  # read from the cache
    cache_write_tokens: int = 0  # written to the cache, whatever the lifetime
    output_tokens: int = 0
    cache_write_12h_tokens: int = 0  # the part of cache_write_tokens that is kept for 12 hours

    @property
    def is_consistent(self) -> bool:
        """Whether no count is negative and the parts are not more than their wholes."""
        counts = (self.cached_tokens, self.cache_write_12h_tokens, self.output_tokens)
        return (
            min(counts) >= 0
            and self.cache_write_12h_tokens <= self.cache_write_tokens
            and self.cached_tokens + self.cache_write_tokens <= self.input_tokens
        )


def cost_of(usage: Usage, price: ModelPrice) -> NanoUSD:
    """
    What *usage* costs at *price*.

    Returns:
        Nano-USD, rounded up once, at the end.
    Raises:
        ValueError: *usage* is not consistent, or has output and the model no output price. Nothing is guessed.
    Source: docs/reference/pricing.md; ADR-0005.
    """
    if not usage.is_consistent:
        raise ValueError(f"these counts cannot be: {usage}")
    if price.free:
        return NanoUSD(0)
    rates = price.rates_for(usage.input_tokens)
    output_rate = rates.output
    if output_rate is None:
        if usage.output_tokens:
            raise ValueError(f"{price.model} has no output price")
        output_rate = 0
    plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    undivided = (
        plain * rates.input
        + usage.cached_tokens * rates.cached_input
        + (usage.cache_write_tokens - usage.cache_write_12h_tokens) * rates.cache_write
        + usage.cache_write_12h_tokens * rates.cache_write_12h
        + usage.output_tokens * output_rate
    )
    # One ceiling over the sum: a ceiling per kind of token would drift upwards.
    return NanoUSD(-(-undivided // PER_MILLION))


def dearer(usage: Usage, asked: ModelPrice, answered: ModelPrice) -> NanoUSD:
    """
    What *usage* costs at the dearer of the model asked for and the one that says it answered.

    A model that could not have given *usage* (an embedding model for a reply with output) is not taken.

    Raises:
        ValueError: *asked* cannot price *usage*.
    """
    cost = cost_of(usage, asked)
    if usage.output_tokens and answered.output is None:
        return cost
    return max(cost, cost_of(usage, answered))
