"""The queue to the writer: in order, and nothing is lost."""

from __future__ import annotations

import asyncio
import queue
import threading

from tuckshop.storage.batch import Submission
from tuckshop.storage.work import Call
from tuckshop.storage.work_queue import WorkQueue

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
