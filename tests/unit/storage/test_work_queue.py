"""The queue to the writer: in order, and nothing is lost."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import cast

from tuckshop.storage.batch import Submission
from tuckshop.storage.work import Call
from tuckshop.storage.work_queue import RIDE_S, WorkQueue

STOP = Call(stop=True)


def test_what_was_put_is_taken_in_order_without_waiting_for_the_turn_to_end() -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        waiting = WorkQueue()
        first, last = Submission("first"), Submission("last")

        waiting.put_soon(first, loop)
        waiting.put(STOP)
        waiting.put_soon(last, loop)

        assert len(waiting) == 3
        assert [waiting.take(0) for _ in range(4)] == [first, STOP, last, None]

    asyncio.run(body())


def test_nothing_comes_of_waiting_when_nothing_is_put() -> None:
    assert WorkQueue().take(0.001) is None


def test_one_who_sleeps_is_woken_by_a_turn_of_the_loop_and_by_a_put() -> None:
    waiting = WorkQueue()
    taken: queue.SimpleQueue[object] = queue.SimpleQueue()

    def take_until_stopped() -> None:
        while (item := waiting.take(30)) is not STOP:
            taken.put(item)

    thread = threading.Thread(target=take_until_stopped)
    thread.start()
    submissions = [Submission(number) for number in range(100)]

    async def body() -> None:
        loop = asyncio.get_running_loop()
        for index, submission in enumerate(submissions):
            waiting.put_soon(submission, loop)
            if index % 10 == 9:
                await asyncio.sleep(0)

    asyncio.run(body())
    waiting.put(STOP)
    thread.join(10)

    assert not thread.is_alive()
    assert [taken.get_nowait() for _ in submissions] == submissions


class FakeLoop:
    """Keeps what is to be called later, until a test lets the time come."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], object]]] = []

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> None:
        callback(*arguments)

    def call_later(
        self, delay_s: float, callback: Callable[..., object], *arguments: object
    ) -> None:
        self.later.append((delay_s, lambda: callback(*arguments)))


class Sleeper:
    """A thread that takes until it is stopped."""

    def __init__(self, waiting: WorkQueue) -> None:
        self._waiting = waiting
        self._taken: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def next(self) -> object:
        """What it takes next."""
        return self._taken.get(timeout=10)

    def wait_until_asleep(self) -> None:
        while not self._waiting._is_asleep:
            time.sleep(0)

    def stop(self) -> None:
        self._waiting.put(STOP)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._waiting.take(30)) is not STOP:
            if item is not None:
                self._taken.put(item)


def riding(waiting: WorkQueue, loop: FakeLoop, *items: Submission) -> None:
    for item in items:
        waiting.put_to_ride(item, cast(asyncio.AbstractEventLoop, loop))


def test_what_rides_wakes_nobody_and_keeps_its_place_before_what_takes_it_along() -> None:
    loop, waiting = FakeLoop(), WorkQueue()
    sleeper = Sleeper(waiting)
    first, second, third = (Submission(number) for number in range(3))
    sleeper.wait_until_asleep()

    riding(waiting, loop, first, second)
    assert waiting._bell.empty()
    assert len(waiting) == 2
    waiting.put_soon(third, cast(asyncio.AbstractEventLoop, loop))

    assert [sleeper.next() for _ in range(3)] == [first, second, third]
    sleeper.stop()


def test_what_rides_is_taken_after_a_bounded_time_for_which_one_timer_is_enough() -> None:
    loop, waiting = FakeLoop(), WorkQueue()
    sleeper = Sleeper(waiting)
    riders = [Submission(number) for number in range(50)]
    sleeper.wait_until_asleep()
    riding(waiting, loop, *riders)

    ((delay_s, come),) = loop.later
    assert delay_s == RIDE_S <= 0.01
    come()

    assert [sleeper.next() for _ in riders] == riders
    sleeper.wait_until_asleep()
    riding(waiting, loop, Submission("another"))
    assert len(loop.later) == 2, "whoever rides later has a timer again"
    sleeper.stop()


def test_a_timer_that_finds_nothing_left_rings_for_nobody() -> None:
    loop, waiting = FakeLoop(), WorkQueue()
    rider = Submission("rider")
    riding(waiting, loop, rider)
    assert waiting.take(0) is rider
    sleeper = Sleeper(waiting)
    sleeper.wait_until_asleep()

    loop.later[0][1]()

    assert waiting._bell.empty()
    sleeper.stop()


def test_a_thread_that_comes_round_lets_riders_lie_until_it_is_told_to_hurry() -> None:
    loop, waiting = FakeLoop(), WorkQueue()
    urgent, rider = Submission("urgent"), Submission("rider")
    waiting.put_soon(urgent, cast(asyncio.AbstractEventLoop, loop))
    assert [waiting.take(0), waiting.take(0)] == [urgent, None]
    riding(waiting, loop, rider)
    sleeper = Sleeper(waiting)
    sleeper.wait_until_asleep()
    assert len(waiting) == 1

    waiting.hurry()

    assert sleeper.next() is rider
    sleeper.stop()
    waiting.hurry()  # with nothing there: no trace
    assert waiting.take(0.001) is None


def test_nothing_is_lost_of_what_is_put_in_every_way_while_the_thread_runs() -> None:
    waiting = WorkQueue()
    sleeper = Sleeper(waiting)
    submissions = [Submission(number) for number in range(3_000)]

    async def body() -> None:
        loop = asyncio.get_running_loop()
        for index, submission in enumerate(submissions):
            (waiting.put_to_ride if index % 3 else waiting.put_soon)(submission, loop)
            if index % 7 == 0:
                await asyncio.sleep(0)

    asyncio.run(body())
    sleeper.stop()

    assert [sleeper.next() for _ in submissions] == submissions
