"""The list in force turns by the clock, and a list in hand never changes (M11)."""

from __future__ import annotations

import msgspec

from tests.support.fake_clock import FakeClock
from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.pricing.price_book import PriceBook, PriceChange
from tuckshop.pricing.prices import ModelPrice, PriceList

LIST = PriceList.load()
MINI = "gpt-4o-mini"
SNAPSHOT = "gpt-4o-mini-2024-07-18"


def priced(cents: int) -> ModelPrice:
    listed = LIST.find(MINI)
    assert listed is not None
    return msgspec.structs.replace(listed, input=cents * 10**7, cached_input=None)


def change(clock: FakeClock, id_: str, in_s: float, price: ModelPrice | None) -> PriceChange:
    at_us = clock.now_us() + round(in_s * US_PER_SECOND)
    return PriceChange(effective_us=at_us, id=id_, upstream="openai", model=MINI, price=price)


def test_a_price_comes_into_force_at_its_time_and_not_before() -> None:
    clock = FakeClock()
    book = PriceBook(LIST, clock)
    book.follow([change(clock, "prc_1", 60, priced(20)), change(clock, "prc_2", 120, None)])
    first = book.now

    assert first.find(MINI, "openai") == LIST.find(MINI)
    clock.advance(59.999)
    assert book.now is first
    clock.advance(0.001)
    second = book.now
    assert second is not first
    assert second.find(MINI, "openai") == priced(20)
    assert first.find(MINI, "openai") == LIST.find(MINI)  # what is pinned stays
    clock.advance(60)
    assert book.now.find(MINI, "openai") == LIST.find(MINI)


def test_of_two_that_begin_at_once_the_one_said_later_counts() -> None:
    clock = FakeClock()
    book = PriceBook(LIST, clock)

    book.follow([change(clock, "prc_1", 0, priced(20))])
    book.follow([change(clock, "prc_2", 0, priced(30))])

    assert book.now.find(MINI, "openai") == priced(30)


def test_one_said_today_does_not_outlive_one_said_earlier_for_later() -> None:
    clock = FakeClock()
    book = PriceBook(LIST, clock)
    book.follow([change(clock, "prc_1", 3_600, priced(20))])
    book.follow([change(clock, "prc_2", 0, priced(30))])

    assert book.now.find(MINI, "openai") == priced(30)
    clock.advance(3_600)
    assert book.now.find(MINI, "openai") == priced(20)


def test_it_covers_the_listed_snapshots_at_that_upstream_alone() -> None:
    """The provider answers by their names: a call at a price of one's own must not be settled by the list's."""
    clock = FakeClock()
    book = PriceBook(LIST, clock, [change(clock, "prc_1", 0, priced(20))])

    at_openai, elsewhere = (book.now.find(SNAPSHOT, name) for name in ("openai", "other"))

    assert at_openai is not None
    assert (at_openai.input, at_openai.model, at_openai.base) == (20 * 10**7, SNAPSHOT, MINI)
    assert elsewhere == LIST.find(SNAPSHOT)
