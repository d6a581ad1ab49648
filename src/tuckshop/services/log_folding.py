"""
What the request log loses with time: once an hour, a bounded number of rows, in short transactions between calls.

Where a call came from leaves its row after two weeks (P12); the oldest rows are folded into sums, and flags as old as
they are deleted (P9).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import TuckshopError
from tuckshop.ledger import folding, forgetting
from tuckshop.ledger.ledger import Ledger
from tuckshop.services import flag_retention
from tuckshop.services.batches import PAUSE_S
from tuckshop.services.directory import Directory
from tuckshop.services.flag_retention import FlagRetention
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)

FIRST_S: Final = 300.0  # after the start
EVERY_S: Final = 3600.0
ROWS_MAX: Final = 50_000  # at once: 1.2 million a day
FORGOTTEN_MAX: Final = 500_000  # the same of their networks, which is quickly done


class LogFolding:
    """Used on the loop alone."""

    def __init__(
        self, directory: Directory, ledger: Ledger, flags: FlagRetention, clock: Clock
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._flags = flags
        self._clock = clock
        self._due_s = clock.monotonic_s() + FIRST_S
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()

    def look(self) -> None:
        """Once a second or so: begin, when it is time."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._due_s and not self._tasks:
            self._due_s = now_s + EVERY_S
            spawn(self.sweep(), name="fold the request log", tasks=self._tasks)

    async def sweep(self, rows_max: int = ROWS_MAX) -> int:
        """Forget and fold what is old enough, of one group after the other; how many rows were folded."""
        total = 0
        try:
            forget = self._ledger.forget_networks
            await self._in_pieces(forget, forgetting.BATCH_ROWS, FORGOTTEN_MAX)
            for group in self._directory.groups(OPERATOR):
                fold = partial(self._ledger.fold, group.id)
                total += await self._in_pieces(fold, folding.BATCH_ROWS, rows_max - total)
                drop = partial(self._flags.forget, group.id)
                await self._in_pieces(drop, flag_retention.BATCH_ROWS, FORGOTTEN_MAX)
        except TuckshopError as error:
            _log.warning("the request log is folded later: %s", error)
        if total:
            _log.info("folded %d old rows of the request log into sums", total)
        return total

    async def close(self) -> None:
        """Begin no other transaction, and wait for the one that runs."""
        self._closing.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _in_pieces(
        self, step: Callable[[], Awaitable[int]], batch_rows: int, rows_max: int
    ) -> int:
        """Take *step*, which does at most *batch_rows*, until there are no more."""
        loop = asyncio.get_running_loop()
        total = 0
        while total < rows_max and not self._closing.is_set():
            began_s = loop.time()
            done = await step()
            total += done
            if done < batch_rows:
                break
            await asyncio.sleep(max(PAUSE_S, loop.time() - began_s))
        return total
