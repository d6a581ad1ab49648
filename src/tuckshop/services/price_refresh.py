"""Another price list, such as that of a newer release: compared, shown, put (M11, K20)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import InvalidFieldError
from tuckshop.domain.records import UpstreamRecord
from tuckshop.pricing.differences import Difference, differences
from tuckshop.pricing.price_book import PriceBook
from tuckshop.pricing.prices import ModelPrice
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.price_list import long_context_of, units_of
from tuckshop.services.price_overrides import PriceOverrides, model_name, wished
from tuckshop.services.shapes.prices import (
    PriceDifference,
    PriceRefresh,
    PriceRefreshed,
    PriceTerms,
)

_TOKENS_MAX: Final = (
    100_000_000  # as for a price that is set by hand: holds are computed in 64 bits
)
_SOURCE_MAX_CHARACTERS: Final = 200
_NAMED: Final = 5


class PriceRefreshing:
    """Puts what differs."""

    def __init__(
        self, directory: Directory, book: PriceBook, price_overrides: PriceOverrides
    ) -> None:
        self._directory = directory
        self._book = book
        self._price_overrides = price_overrides

    async def refresh(self, actor: Actor, said: PriceRefresh) -> PriceRefreshed:
        """
        Make the prices of an upstream those of another list, or tell what that would change.

        Raises:
            InvalidFieldError: A row cannot be taken, or prices fall and nobody said that they may.
            NotFoundError: No such upstream.
        """
        upstream = self._directory.upstream(said.upstream)
        if upstream.profile != "openai":
            raise InvalidFieldError(
                "upstream",
                "may run anything under any name, as it is only compatible: set its prices one by one",
            )
        for place, row in enumerate(said.prices):
            _check(place, row)
        if len({row.model for row in said.prices}) < len(said.prices):
            raise InvalidFieldError("prices", "state a model twice")
        wished_us = wished(said.effective_from)
        found: list[Difference] = []

        def look() -> Mapping[str, ModelPrice | None]:
            found[:] = self._differences(upstream, said)
            if not said.accept_less:
                _refuse_less(found)
            return {one.model: one.put for one in found if one.put is not None}

        if said.dry_run:
            found = self._differences(upstream, said)
            effective_us = wished_us
        else:
            effective_us = await self._price_overrides.lay_down(
                actor, upstream, look, wished_us=wished_us
            )
        return PriceRefreshed(
            data=[self._shape(upstream.name, one) for one in found],
            unchanged=len(said.prices) - sum(one.action in _OF_THE_LIST for one in found),
            effective_from=rfc3339(effective_us) if effective_us else None,
            dry_run=said.dry_run,
        )

    def _differences(self, upstream: UpstreamRecord, said: PriceRefresh) -> list[Difference]:
        prices = self._book.now
        listed = self._book.built_in.rows()
        known = {row.model for row in listed}
        known |= {model for name, model in prices.overrides if name == upstream.name}
        return differences(
            lambda model: prices.find(model, upstream.name),
            known,
            listed,
            said.prices,
            replace_own=said.replace_own,
        )

    def _shape(self, upstream: str, one: Difference) -> PriceDifference:
        coming = self._book.next(upstream, one.model)
        return PriceDifference(
            model=one.model,
            action=one.action,
            is_less=one.is_less,
            before=_terms(one.before),
            after=_terms(one.after),
            next_from=None if coming is None else rfc3339(coming.effective_us),
        )


_OF_THE_LIST: Final = frozenset({"new", "changed", "kept"})


def _check(place: int, row: ModelPrice) -> None:
    field = f"prices[{place}]"
    try:
        model_name(row.model)
    except InvalidFieldError as error:
        raise InvalidFieldError(f"{field}.model", error.message) from None
    if len(row.source) > _SOURCE_MAX_CHARACTERS:
        raise InvalidFieldError(f"{field}.source", "is too long")
    if row.base is not None and len(row.base) > _SOURCE_MAX_CHARACTERS:
        raise InvalidFieldError(f"{field}.base", "is too long")
    for name in ("context_tokens", "max_input_tokens", "max_output_tokens", "long_context_start"):
        if not 0 <= (getattr(row, name) or 0) <= _TOKENS_MAX:
            raise InvalidFieldError(f"{field}.{name}", f"is not from 0 to {_TOKENS_MAX}")


def _refuse_less(found: Sequence[Difference]) -> None:
    less = [one.model for one in found if one.is_less]
    if less:
        named = ", ".join(less[:_NAMED]) + (" …" if len(less) > _NAMED else "")
        raise InvalidFieldError(
            "accept_less", f"is needed: {len(less)} would be charged or held less ({named})"
        )


def _terms(price: ModelPrice | None) -> PriceTerms | None:
    if price is None:
        return None
    return PriceTerms(
        free=price.free,
        units=units_of(price),
        long_context=long_context_of(price),
        family=price.family,
        snapshot_of=price.base,
        context_tokens=price.context_tokens,
        max_input_tokens=price.max_input_tokens,
        max_output_tokens=price.max_output_tokens,
        reasons=price.reasons,
        images=price.images,
        cap_field=price.cap_field,
        searches=price.search,
        ends=None if price.ends is None else price.ends.isoformat(),
    )
