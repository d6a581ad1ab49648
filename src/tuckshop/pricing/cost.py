"""What a call cost, from its usage and the price that was pinned when it was admitted."""

from __future__ import annotations

from typing import Final

from tuckshop.domain.money import NanoUSD
from tuckshop.domain.usage import Usage
from tuckshop.pricing.prices import ModelPrice

__all__ = ["PER_MILLION", "Usage", "cost_of", "dearer"]

PER_MILLION: Final = 1_000_000


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
    if answered is asked or (usage.output_tokens and answered.output is None):
        return cost
    return max(cost, cost_of(usage, answered))
