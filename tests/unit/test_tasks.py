from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tuckshop.tasks import spawn


def test_a_spawned_task_is_held_until_it_is_done() -> None:
    async def main() -> None:
        tasks: set[asyncio.Task[Any]] = set()
        gate = asyncio.Event()

        task = spawn(gate.wait(), name="waits", tasks=tasks)

        assert tasks == {task}
        assert task.get_name() == "waits"
        gate.set()
        await task
        await asyncio.sleep(0)
        assert not tasks

    asyncio.run(main())


def test_a_spawned_task_that_fails_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise RuntimeError("lost")

    async def main() -> None:
        tasks: set[asyncio.Task[Any]] = set()
        spawn(fail(), name="fails", tasks=tasks)
        await asyncio.sleep(0.01)
        assert not tasks

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())

    assert "fails" in caplog.text
    assert "lost" in caplog.text


def test_a_cancelled_task_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        tasks: set[asyncio.Task[Any]] = set()
        spawn(asyncio.sleep(60), name="cancelled", tasks=tasks).cancel()
        await asyncio.sleep(0.01)
        assert not tasks

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())

    assert not caplog.records
