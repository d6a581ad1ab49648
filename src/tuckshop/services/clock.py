"""Going on after the clock has jumped."""

from __future__ import annotations

from tuckshop.domain.actor import Actor
from tuckshop.services.fields import rfc3339
from tuckshop.services.shapes.clock import ClockAccepted
from tuckshop.storage.writer import Writer


class ServerClock:
    """The clock that windows go by."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def accept(self, actor: Actor) -> ClockAccepted:
        """
        Take the server's clock as it is for right.

        Raises:
            ConflictError: It is fit: there is nothing to accept.
        """
        before_us, now_us = await self._writer.accept_clock(actor)
        return ClockAccepted(latest_before=rfc3339(before_us), now=rfc3339(now_us))
