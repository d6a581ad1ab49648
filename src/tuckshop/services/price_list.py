"""The price list in force, as the API shows it: USD per 1,000,000 tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tuckshop.domain.money import usd
from tuckshop.pricing.prices import ModelPrice, PriceList
from tuckshop.services.shapes.prices import LongContext, PricePage, PriceShape

_UNITS: Final = ("input", "cached_input", "cache_write", "output")


class Prices:
    """Shows the price list."""

    def __init__(self, prices: PriceList, upstream: str) -> None:
        self._prices = prices
        self._upstream = upstream

    async def page(self) -> PricePage:
        """Every model that has a price."""
        return PricePage(data=[self._shape(price) for price in self._prices.rows()])

    def _shape(self, price: ModelPrice) -> PriceShape:
        return PriceShape(
            upstream=self._upstream,
            model=price.model,
            family=price.family,
            units=_units(price, ""),
            long_context=(
                None
                if price.long_context_start is None
                else LongContext(above=price.long_context_start, units=_units(price, "long_"))
            ),
            free=price.free,
            effective_from=price.dated.isoformat(),
            context_tokens=price.context_tokens,
            max_output_tokens=price.max_output_tokens,
            reasons=price.reasons,
            images=price.images,
            source=price.source,
        )


def _units(price: ModelPrice, prefix: str) -> dict[str, Decimal]:
    rates = {unit: getattr(price, prefix + unit) for unit in _UNITS}
    return {unit: usd(rate) for unit, rate in rates.items() if rate is not None}
