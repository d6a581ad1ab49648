"""The price list in force, as the API shows it: USD per 1,000,000 tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tuckshop.domain.money import usd
from tuckshop.pricing.price_book import PriceBook
from tuckshop.pricing.prices import ModelPrice
from tuckshop.services.fields import rfc3339
from tuckshop.services.shapes.prices import LongContext, NextPrice, PricePage, PriceShape

UNITS: Final = ("input", "cached_input", "cache_write", "cache_write_12h", "output")


class Prices:
    """Shows the price list."""

    def __init__(self, book: PriceBook, upstream: str) -> None:
        """*upstream*: the one that the list of the package is shown for."""
        self._book = book
        self._upstream = upstream

    async def page(self) -> PricePage:
        """Every model that has a price, or will have one; by model, then by upstream."""
        prices = self._book.now
        places = {(row.model, self._upstream) for row in self._book.built_in.rows()}
        places |= {(model, upstream) for upstream, model in prices.overrides}
        places |= {(model, upstream) for upstream, model in self._book.upcoming()}
        return PricePage(data=[self._shape(upstream, model) for model, upstream in sorted(places)])

    def of(self, upstream: str, model: str) -> list[PriceShape]:
        """A model and its snapshots."""
        names = [model]
        names += [row.model for row in self._book.built_in.rows() if row.base == model]
        return [self._shape(upstream, name) for name in names]

    def _shape(self, upstream: str, model: str) -> PriceShape:
        prices = self._book.now
        price = prices.find(model, upstream)
        is_override = (upstream, model) in prices.overrides
        base = self._book.built_in.find(model)
        coming = self._book.next(upstream, model)
        if coming is None and base is not None and base.base is not None:
            coming = self._book.next(upstream, base.base)  # which its snapshots follow
        since = self._book.since(upstream, model)
        if since is None and price is not None and price.base is not None:
            since = self._book.since(upstream, price.base)
        return PriceShape(
            upstream=upstream,
            model=model,
            family=None if price is None else price.family,
            units=units_of(price),
            long_context=long_context_of(price),
            free=price is not None and price.free,
            origin=None if price is None else "override" if is_override else "built_in",
            effective_from=(
                None
                if price is None
                else rfc3339(since)
                if is_override and since is not None
                else price.dated.isoformat()
            ),
            next=(
                None
                if coming is None
                else NextPrice(
                    effective_from=rfc3339(coming.effective_us),
                    units=None if coming.price is None else units_of(coming.price),
                    free=coming.price is not None and coming.price.free,
                )
            ),
            context_tokens=None if price is None else price.context_tokens,
            max_output_tokens=None if price is None else price.max_output_tokens,
            reasons=price is not None and price.reasons,
            images=None if price is None else price.images,
            source=None if price is None else price.source,
        )


def units_of(price: ModelPrice | None, prefix: str = "") -> dict[str, Decimal]:
    """USD per 1,000,000 of each unit that has a rate; with the prefix ``long_``, beyond the cliff."""
    if price is None:
        return {}
    rates = {unit: getattr(price, prefix + unit) for unit in UNITS}
    return {unit: usd(rate) for unit, rate in rates.items() if rate is not None}


def long_context_of(price: ModelPrice | None) -> LongContext | None:
    """What long calls cost, where that is something else."""
    if price is None or price.long_context_start is None:
        return None
    return LongContext(above=price.long_context_start, units=units_of(price, "long_"))
