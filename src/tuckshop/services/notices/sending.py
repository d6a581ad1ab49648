"""
The sending of webhooks: per webhook one delivery after the other, all webhooks beside each other.

So a receiver that is slow or down holds up nobody but itself. What waits stands in the ledger, and is found again by
the next server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

from tuckshop.domain.actor import SYSTEM
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import NotFoundError, TuckshopError
from tuckshop.domain.webhooks import Webhook, signature_of
from tuckshop.services.notices.deliveries import Deliveries, Taken
from tuckshop.services.notices.subscriptions import Subscriptions
from tuckshop.storage.sealing import Sealer, SealError, webhook_place
from tuckshop.tasks import spawn
from tuckshop.upstreams.exchange import Headers
from tuckshop.upstreams.posting import Connect, Posted, post
from tuckshop.upstreams.target_url import parse_target_url

_log: Final = logging.getLogger(__name__)

LOOK_S: Final = 10.0  # how long it sleeps at most while something waits
GRACE_S: Final = 3.0  # how long deliveries that are under way may take at shutdown


class WebhookSender:
    """Sends what waits. Used on the loop alone."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        deliveries: Deliveries,
        *,
        sealer: Sealer,
        connect: Connect,
        clock: Clock,
    ) -> None:
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self._sealer = sealer
        self._connect = connect
        self._clock = clock
        self._woken = asyncio.Event()
        self._closing = False
        self._loop: set[asyncio.Task[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._busy: set[str] = set()  # the webhooks that are being sent to

    def start(self) -> None:
        """Begin to send."""
        spawn(self._run(), name="webhooks", tasks=self._loop)

    def wake(self) -> None:
        """There is something new to send."""
        self._woken.set()

    async def close(self) -> None:
        """Begin nothing more; what is under way may end, or is sent again by the next server."""
        self._closing = True
        self._woken.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE_S)
        for task in (*self._tasks, *self._loop):
            task.cancel()
        if self._tasks or self._loop:
            await asyncio.wait([*self._tasks, *self._loop])

    async def send(self, webhook: Webhook, message_id: str, body: bytes) -> Posted:
        """Sign and post one message, and tell what came of it."""
        try:
            # In a thread: the first call loads the library.
            secret = await asyncio.to_thread(
                self._sealer.open,
                webhook.sealed,
                place=webhook_place(webhook.workspace_id, webhook.id),
            )
        except SealError as error:
            return Posted(None, f"its secret does not open ({error}): give it a new one")
        at_s = self._clock.now_us() // US_PER_SECOND
        signature = signature_of(secret, message_id=message_id, at_s=at_s, body=body)
        headers: Headers = [
            (b"content-type", b"application/json"),
            (b"user-agent", b"tuckshop"),
            (b"webhook-id", message_id.encode()),
            (b"webhook-timestamp", str(at_s).encode()),
            (b"webhook-signature", signature.encode()),
        ]
        return await post(self._connect, webhook.url, webhook.reach, headers, body)

    async def step(self) -> float | None:
        """Begin what is due; how long until there is more, None: until somebody wakes us."""
        if self._subscriptions.is_empty:
            return None
        now_us = self._clock.now_us()
        later_us = []
        for webhook_id, due_us in (await self._deliveries.due()).items():
            if webhook_id in self._busy or self._active(webhook_id) is None:
                continue
            if due_us <= now_us:
                self._busy.add(webhook_id)
                spawn(self._send_all(webhook_id), name="webhook", tasks=self._tasks)
            else:
                later_us.append(due_us)
        return (min(later_us) - now_us) / US_PER_SECOND if later_us else None

    async def _run(self) -> None:
        while not self._closing:
            self._woken.clear()
            try:
                wait_s = await self.step()
            except TuckshopError as error:
                _log.warning("no webhooks are sent for now: %s", error)
                wait_s = LOOK_S
            except Exception:  # noqa: BLE001 - the outer edge of the loop
                _log.exception("webhooks could not be looked through")
                wait_s = LOOK_S
            if not self._woken.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(
                        self._woken.wait(), None if wait_s is None else min(wait_s, LOOK_S)
                    )

    async def _send_all(self, webhook_id: str) -> None:
        """Send what is due to one webhook, until there is no more of it or one does not arrive."""
        try:
            while not self._closing:
                webhook = self._active(webhook_id)
                if webhook is None:
                    return
                taken = await self._deliveries.first(webhook_id, self._clock.now_us())
                if taken is None or not await self._send_one(webhook, taken):
                    return
        except TuckshopError as error:  # the ledger takes nothing at present
            _log.warning("what came of a webhook cannot be written for now: %s", error)
            await asyncio.sleep(LOOK_S)
        finally:
            self._busy.discard(webhook_id)
            self.wake()

    async def _send_one(self, webhook: Webhook, taken: Taken) -> bool:
        posted = await self.send(webhook, taken.notice_id, taken.body)
        is_paused = await self._deliveries.end(webhook, taken, posted)
        where = parse_target_url(webhook.url).base.authority
        if not posted.is_taken:
            _log.warning("webhook %s: %s %s", webhook.id, where, posted.told)
        if is_paused:
            _log.error(
                "webhook %s: %s has taken nothing for days and is sent nothing more: mend it, then"
                " `tuckshop webhook edit %s --state active`",
                webhook.id,
                where,
                webhook.id,
            )
        if not posted.is_taken or webhook.failing_since_us is not None:
            await self._subscriptions.read()
        return posted.is_taken

    def _active(self, webhook_id: str) -> Webhook | None:
        try:
            webhook = self._subscriptions.webhook(webhook_id, SYSTEM)
        except NotFoundError:
            return None
        return webhook if webhook.state == "active" else None
