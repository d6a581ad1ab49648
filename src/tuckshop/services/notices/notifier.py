"""
Beside the calls: looks for what happened that somebody is to be told, passes it on, and sends it.

While nobody is to be told of anything, it only sleeps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import TuckshopError
from tuckshop.services.notices.deliveries import Deliveries
from tuckshop.services.notices.passing_on import BATCH, PassingOn
from tuckshop.services.notices.sending import WebhookSender
from tuckshop.services.notices.subscriptions import Subscriptions
from tuckshop.services.notices.watching import Watching
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)

LOOK_S: Final = 2.0  # for what was posted
WATCH_S: Final = 10.0  # for what happened
FORGET_S: Final = 3_600.0


class Notifier:
    """A task from `start` to `close`."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        watching: Watching,
        passing_on: PassingOn,
        deliveries: Deliveries,
        sender: WebhookSender,
        clock: Clock,
        *,
        wake_mails: Callable[[], None],
    ) -> None:
        self._subscriptions = subscriptions
        self._watching = watching
        self._passing_on = passing_on
        self._deliveries = deliveries
        self._sender = sender
        self._clock = clock
        self._wake_mails = wake_mails
        self._forget_at_s = self._watch_at_s = clock.monotonic_s()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Read who is to be told, and begin."""
        await self._subscriptions.read()
        self._sender.start()
        spawn(self._run(), name="notices", tasks=self._tasks)

    async def close(self) -> None:
        """Stop. What waits is sent by the next server."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._sender.close()

    async def step(self) -> None:
        """Look once."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._forget_at_s:
            self._forget_at_s = now_s + FORGET_S
            await self._passing_on.forget_old()
            await self._deliveries.forget_old()
        if self._subscriptions.is_empty:
            return
        if now_s >= self._watch_at_s:
            self._watch_at_s = now_s + WATCH_S
            await self._watching.look()
        count = BATCH
        while count == BATCH:
            count = await self._passing_on.step()
            if count:
                self._sender.wake()
                self._wake_mails()

    async def _run(self) -> None:
        while True:
            try:
                await self.step()
            except TuckshopError as error:  # the ledger takes nothing at present
                _log.debug("notices wait: %s", error)
            except Exception:  # noqa: BLE001 - the outer edge of the loop
                _log.exception("notices could not be looked through")
            await asyncio.sleep(LOOK_S)
