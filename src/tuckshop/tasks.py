"""Tasks that outlive whoever starts them: kept alive, named, and heard when they fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
_log: Final = logging.getLogger(__name__)


def spawn(
    work: Coroutine[Any, Any, T], *, name: str, tasks: set[asyncio.Task[Any]]
) -> asyncio.Task[T]:
    """
    Run *work* as a task called *name*, on the running loop.

    Args:
        tasks: Where the task stands until it is done. The loop itself keeps only weak references, so a task that
            nobody holds may vanish in the middle. Whoever owns the set waits for it at shutdown.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    tasks.add(task)
    task.add_done_callback(lambda done: _finish(done, tasks))
    return task


def _finish(task: asyncio.Task[Any], tasks: set[asyncio.Task[Any]]) -> None:
    tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task %s failed", task.get_name(), exc_info=error)
