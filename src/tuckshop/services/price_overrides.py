"""Overrides of the price list: what the operator says that a model of an upstream costs, from when on (K20)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import UNSET
from sqlalchemy import func, insert, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import InvalidFieldError, InvalidFieldsError
from tuckshop.domain.ids import DEFAULT_WORKSPACE, new_id
from tuckshop.domain.money import NANO_PER_USD
from tuckshop.domain.records import UpstreamRecord
from tuckshop.pricing.differences import SET_HERE
from tuckshop.pricing.price_book import PriceBook, PriceChange
from tuckshop.pricing.prices import GENERATING, RATE_MAX, ModelPrice, PriceList
from tuckshop.services import fields
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import Columns, InvalidValueError
from tuckshop.services.price_list import UNITS, Prices
from tuckshop.services.shapes.prices import PriceOverride, PriceShape
from tuckshop.storage.audit import actor_text
from tuckshop.storage.schema import price_overrides
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

MODEL_MAX_CHARACTERS: Final = 128
CHANGES_MAX: Final = 10_000  # all of them are in memory


async def open_prices(writer: Writer, built_in: PriceList, clock: Clock) -> PriceBook:
    """The price list of the package with every override that was committed."""

    def read(transaction: Transaction) -> list[PriceChange]:
        query = select(price_overrides).where(price_overrides.c.workspace_id == DEFAULT_WORKSPACE)
        return [_change_of(dict(row)) for row in transaction.connection.execute(query).mappings()]

    return PriceBook(built_in, clock, await writer.transact(read))


class PriceOverrides:
    """What the operator does with prices."""

    def __init__(
        self, changes: Changes, directory: Directory, book: PriceBook, prices: Prices
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._book = book
        self._prices = prices
        self._one_at_a_time = asyncio.Lock()  # the book takes them in the order of their commits

    async def put(self, actor: Actor, said: PriceOverride) -> list[PriceShape]:
        """
        Say what a model costs, or take that back. Calls under way keep the price they were admitted with (M11).

        Returns:
            How the model and its snapshots stand now.
        Raises:
            InvalidFieldsError: Fields that cannot be taken.
            NotFoundError: No such upstream.
        """
        upstream = self._directory.upstream(said.upstream)
        model = model_name(said.model)
        price = self._price(upstream, model, said)
        await self.lay_down(
            actor, upstream, lambda: {model: price}, wished_us=wished(said.effective_from)
        )
        return self._prices.of(upstream.name, model)

    async def lay_down(
        self,
        actor: Actor,
        upstream: UpstreamRecord,
        prices_of: Callable[[], Mapping[str, ModelPrice | None]],
        *,
        wished_us: int,
    ) -> int:
        """
        Put prices of models at *upstream*, all of them or none. Returns from when on they hold.

        Args:
            prices_of: Looks at the book while nobody else changes it; a price of None takes back what was said.
            wished_us: The earliest; 0 is now.
        """

        def work(edit: Edit) -> list[PriceChange]:
            # Never before now: what was admitted by another price is not charged anew.
            effective_us = max(edit.now_us, wished_us)
            # Ids of one microsecond are in no order, and of two that begin at one time the later one counts.
            last_us = edit.connection.execute(
                select(func.max(price_overrides.c.created_at))
            ).scalar()
            said_us = max(edit.now_us, (last_us or 0) + 1)
            return [
                _put(edit, upstream.name, model, price, effective_us, said_us + place)
                for place, (model, price) in enumerate(prices.items())
            ]

        async with self._one_at_a_time:
            prices = prices_of()
            if not prices:
                return wished_us
            if self._book.count + len(prices) > CHANGES_MAX:
                raise InvalidFieldError("model", "has no room: too many prices were set already")
            made = await self._changes.make(actor, work)
            self._book.follow(made)
        return made[0].effective_us

    def _price(
        self, upstream: UpstreamRecord, model: str, said: PriceOverride
    ) -> ModelPrice | None:
        if said.units is None and not said.free:
            return None
        # A compatible server may run any model under any name: there only what is said here is known.
        listed = self._book.built_in.find(model) if upstream.profile == "openai" else None
        columns = Columns()
        rates = _nano(columns, "units", said.units or {})
        if said.free and rates:
            columns.refuse("free", "a price cannot be stated with it: leave units out")
        if not said.free and "input" not in rates:
            columns.refuse("units", "state at least input, in USD per 1,000,000 tokens")
        if listed is not None and listed.long_context_start and said.long_context is UNSET:
            columns.refuse(
                "long_context",
                f"{model} costs more above {listed.long_context_start} tokens of input: state that too, "
                "or null if it does not with you",
            )
        long: dict[str, Any] = {}
        if said.long_context is not UNSET and said.long_context is not None:
            far = _nano(columns, "long_context.units", said.long_context.units)
            long = {"long_context_start": said.long_context.above}
            long |= {f"long_{unit}": rate for unit, rate in far.items()}
        family = said.family if said.family is not UNSET else listed.family if listed else "chat"
        generates = family in GENERATING
        greatest = listed.max_output_tokens if listed else None
        if said.max_output_tokens is not UNSET:
            greatest = said.max_output_tokens
        if generates and greatest is None:
            columns.refuse(
                "max_output_tokens", "is needed: the most that one answer of the model can have"
            )
        if not said.free and generates != ("output" in rates):
            told = "state output too" if generates else f"a model of {family} has no output"
            columns.refuse("units", told)
        columns.check()
        try:
            return ModelPrice(
                model=model,
                family=family,
                base=listed.base if listed else None,
                free=said.free,
                **rates,
                **long,
                context_tokens=(
                    said.context_tokens
                    if said.context_tokens is not UNSET
                    else listed.context_tokens
                    if listed
                    else None
                ),
                max_input_tokens=(
                    listed.max_input_tokens if listed and said.context_tokens is UNSET else None
                ),
                max_output_tokens=greatest,
                reasons=(
                    said.reasons
                    if said.reasons is not UNSET
                    else listed.reasons
                    if listed
                    else False
                ),
                cap_field=(
                    listed.cap_field
                    if listed is not None and listed.cap_field
                    else "max_tokens"
                    if family == "chat"
                    else None
                ),
                images=listed.images if listed else None,
                search=listed.search if listed else False,
                ends=listed.ends if listed else None,
                source=SET_HERE,
                dated=datetime(1970, 1, 1, tzinfo=UTC).date(),
            )
        except ValueError as error:
            raise InvalidFieldsError((InvalidFieldError("units", str(error)),)) from None


def _nano(columns: Columns, field: str, units: dict[str, Decimal]) -> dict[str, Any]:
    """Nano-USD per 1,000,000 tokens, exact; whatever cannot be counted so is refused (M11)."""
    rates: dict[str, Any] = {}
    for unit, usd in units.items():
        place = f"{field}.{unit}"
        if unit not in UNITS:
            columns.refuse(place, f"is no unit: expected {', '.join(UNITS)}")
        elif not usd.is_finite() or not 0 < usd <= RATE_MAX // NANO_PER_USD:
            columns.refuse(
                place, "is not above 0 (say free, if it is), or more than can be counted"
            )
        elif (nano := usd * NANO_PER_USD) != int(nano):
            columns.refuse(place, "is finer than a nano-dollar: at most nine decimals")
        else:
            rates[unit] = int(nano)
    return rates


def wished(text: str | None) -> int:
    """The time of an `effective_from`; 0 where none is said."""
    if text is None:
        return 0
    try:
        return fields.instant_of_text(text)
    except InvalidValueError as error:
        raise InvalidFieldError("effective_from", str(error)) from None


def model_name(text: str) -> str:
    """*text*, if a model could be called so."""
    if not text or len(text) > MODEL_MAX_CHARACTERS or not all("!" <= c <= "~" for c in text):
        raise InvalidFieldError(
            "model", f"expected the exact id of a model, 1 to {MODEL_MAX_CHARACTERS} visible ASCII"
        )
    return text


def _put(
    edit: Edit,
    upstream: str,
    model: str,
    price: ModelPrice | None,
    effective_us: int,
    said_us: int,
) -> PriceChange:
    row: dict[str, Any] = {
        "workspace_id": edit.workspace_id,
        "id": new_id("prc", said_us),
        "upstream": upstream,
        "model": model,
        "content": None if price is None else _dated(price, effective_us).to_json(),
        "effective_from": effective_us,
        "created_by": actor_text(edit.actor),
        "created_at": said_us,
    }
    edit.connection.execute(insert(price_overrides).values(row))
    after = {
        "upstream": upstream,
        "model": model,
        "effective_from": fields.rfc3339(effective_us),
        "price": None if price is None else _rates(price),
    }
    edit.audit("price.set" if price else "price.unset", row["id"], None, after)
    return _change_of(row)


def _dated(price: ModelPrice, effective_us: int) -> ModelPrice:
    at = datetime.fromtimestamp(effective_us // US_PER_SECOND, tz=UTC)
    return msgspec.structs.replace(price, dated=at.date())


def _rates(price: ModelPrice) -> dict[str, Any]:
    stated = {"free": price.free, **{unit: getattr(price, unit) for unit in UNITS}}
    return {name: value for name, value in stated.items() if value}


def _change_of(row: dict[str, Any]) -> PriceChange:
    content = row["content"]
    return PriceChange(
        effective_us=row["effective_from"],
        id=row["id"],
        upstream=row["upstream"],
        model=row["model"],
        price=None if content is None else ModelPrice.from_json(content),
    )
