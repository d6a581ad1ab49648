"""Moves the mark of the day sums on, beside the calls: a step, a pause, until yesterday is in them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from tuckshop.domain.errors import TuckshopError
from tuckshop.ledger.ledger import Ledger
from tuckshop.tasks import spawn

PAUSE_S: Final = (
    0.02  # between two steps: ten million calls of the past take minutes, and nobody waits for them
)
LOOK_S: Final = 300.0  # when all is done: has a day ended?
_log: Final = logging.getLogger(__name__)


class DayFilling:
    """A task from `start` to `close`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Begin."""
        spawn(self._run(), name="day sums", tasks=self._tasks)

    async def close(self) -> None:
        """Stop; the step that is on its way may still be written."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self) -> None:
        while True:
            try:
                pause_s = PAUSE_S if await self._ledger.sum_days() else LOOK_S
            except TuckshopError as error:  # the ledger takes nothing at present
                _log.debug("day sums wait: %s", error)
                pause_s = LOOK_S
            await asyncio.sleep(pause_s)
