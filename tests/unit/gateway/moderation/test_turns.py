"""Turns at a moderation service are fair between members, and never more than it takes (section 12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.support.fake_clock import FakeClock
from tuckshop.gateway.moderation.turns import MINUTE_S, WAIT_MAX_S, Turns


class Hall:
    """Turns whose alarm rings when the test says so."""

    def __init__(self, *, per_minute: int = 100, at_once: int = 1) -> None:
        self.clock = FakeClock()
        self.alarms: list[tuple[float, Callable[[], None]]] = []
        self.came: list[str] = []
        self.loop = asyncio.get_running_loop()
        self.turns = Turns(
            per_minute=per_minute, at_once=at_once, clock=self.clock, loop=cast("Any", self)
        )

    def create_future(self) -> asyncio.Future[None]:
        return self.loop.create_future()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        self.alarms.append((delay, callback))
        return asyncio.Future()

    async def come(self, *names: str) -> list[asyncio.Task[None]]:
        tasks = [self.loop.create_task(self._come(name)) for name in names]
        await self.settle()
        return tasks

    async def _come(self, name: str) -> None:
        await self.turns.take(name)
        self.came.append(name)

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def pass_time(self) -> float:
        """Until the next alarm; how long that was."""
        delay, ring = self.alarms.pop()
        self.clock.advance(delay)
        ring()
        await self.settle()
        return delay


async def _fair() -> None:
    hall = Hall()
    await hall.come("book", "book", "book", "ada", "bob")

    for _ in range(5):
        hall.turns.give_back()
        await hall.settle()

    assert hall.came == ["book", "book", "ada", "bob", "book"]
    assert hall.turns.waiting == 0


def test_members_take_turns_however_much_one_of_them_asks() -> None:
    asyncio.run(_fair())


async def _rate() -> None:
    hall = Hall(per_minute=2, at_once=10)
    await hall.come("a", "b", "c")
    assert hall.came == ["a", "b"]
    hall.clock.advance(MINUTE_S / 2)
    hall.turns.give_back()

    waited = await hall.pass_time()

    assert waited == pytest.approx(MINUTE_S)
    assert hall.came == ["a", "b", "c"]


def test_there_are_never_more_in_any_minute() -> None:
    asyncio.run(_rate())


async def _shares() -> None:
    hall = Hall(per_minute=12, at_once=100)
    await hall.come(*["book"] * 20)
    assert hall.came == ["book"] * 6

    await hall.come("ada", *["letter"] * 20)
    assert hall.came[6:] == ["ada", *["letter"] * 3]
    await hall.come("bob")
    assert hall.came[-1] == "bob"

    assert await hall.pass_time() == pytest.approx(MINUTE_S)
    assert hall.came[11:] == [*["book", "letter"] * 6][: len(hall.came) - 11]
    assert len(hall.came) - 11 < 12


def test_a_member_who_asks_much_leaves_turns_for_who_comes_later_in_the_minute() -> None:
    asyncio.run(_shares())


async def _pause() -> None:
    hall = Hall(at_once=10)
    hall.turns.pause(7)
    hall.turns.pause(3)
    await hall.come("a")
    assert hall.came == []
    assert await hall.pass_time() == pytest.approx(7)
    assert hall.came == ["a"]

    hall.turns.pause(86_400)
    await hall.come("b")
    assert await hall.pass_time() == pytest.approx(WAIT_MAX_S)


def test_a_service_that_asks_to_wait_is_left_alone_but_not_for_ever() -> None:
    asyncio.run(_pause())


async def _leaving() -> None:
    hall = Hall()
    _, second, third = await hall.come("a", "b", "c")
    second.cancel()
    await hall.settle()
    assert hall.turns.waiting == 1

    hall.turns.give_back()  # c's turn has come, and it leaves in the same moment
    third.cancel()
    await hall.settle()

    await hall.come("d")
    assert hall.came == ["a", "d"]


def test_who_leaves_takes_no_turn() -> None:
    asyncio.run(_leaving())
