"""
The price list in force: the one of the package with what the operator said since, each from its own time on.

A list never changes; when the time of an override comes, there is another list. Who holds one has pinned it (M11).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from tuckshop.domain.clock import Clock
from tuckshop.pricing.prices import ModelPrice, PriceList


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PriceChange:
    """From when on an upstream's model costs something else. In the order in which they come into force."""

    effective_us: int
    id: str  # of two that begin at one time the later one counts
    upstream: str
    model: str
    price: ModelPrice | None  # None: what the package says


class PriceBook:
    """Gives the list in force. Used on the event loop alone."""

    def __init__(
        self, built_in: PriceList, clock: Clock, changes: Iterable[PriceChange] = ()
    ) -> None:
        self._built_in = built_in
        self._clock = clock
        self._changes: list[PriceChange] = []
        self._next_us: int | None = None  # when there is another list
        self._list = built_in
        self.follow(changes)

    @property
    def now(self) -> PriceList:
        """The list in force. The same object until it changes."""
        if self._next_us is not None and self._clock.now_us() >= self._next_us:
            self._turn()
        return self._list

    @property
    def count(self) -> int:
        """How many changes were ever said."""
        return len(self._changes)

    @property
    def built_in(self) -> PriceList:
        """The list of the package."""
        return self._built_in

    def follow(self, changes: Iterable[PriceChange]) -> None:
        """These were said too."""
        self._changes = sorted([*self._changes, *changes])
        self._turn()

    def since(self, upstream: str, model: str) -> int | None:
        """Since when an override is in force; None: there is none."""
        now_us = self._clock.now_us()
        past = [c for c in self._of(upstream, model) if c.effective_us <= now_us]
        return past[-1].effective_us if past and past[-1].price is not None else None

    def next(self, upstream: str, model: str) -> PriceChange | None:
        """The next change that is known."""
        now_us = self._clock.now_us()
        # Of several that begin at one time the last is the one that counts.
        coming = [c for c in self._of(upstream, model) if c.effective_us > now_us]
        first_us = coming[0].effective_us if coming else None
        return next((c for c in reversed(coming) if c.effective_us == first_us), None)

    def upcoming(self) -> set[tuple[str, str]]:
        """Upstream and model of every change that is still to come."""
        now_us = self._clock.now_us()
        return {(c.upstream, c.model) for c in self._changes if c.effective_us > now_us}

    def _of(self, upstream: str, model: str) -> list[PriceChange]:
        return [c for c in self._changes if (c.upstream, c.model) == (upstream, model)]

    def _turn(self) -> None:
        now_us = self._clock.now_us()
        in_force: dict[tuple[str, str], ModelPrice | None] = {}
        for change in self._changes:
            if change.effective_us <= now_us:
                in_force[change.upstream, change.model] = change.price
        self._next_us = min(
            (c.effective_us for c in self._changes if c.effective_us > now_us), default=None
        )
        said = {place: price for place, price in in_force.items() if price is not None}
        self._list = PriceList(self._built_in.rows(), self._with_snapshots(said))

    def _with_snapshots(
        self, said: dict[tuple[str, str], ModelPrice]
    ) -> dict[tuple[str, str], ModelPrice]:
        """An override covers the listed snapshots of its model: the provider answers by their names."""
        found = dict(said)
        for row in self._built_in.rows():
            for (upstream, model), price in said.items():
                if row.base == model and (upstream, row.model) not in said:
                    found[upstream, row.model] = msgspec.structs.replace(
                        price, model=row.model, base=row.base
                    )
        return found
