"""What all connections of a server share: the shop floor. Counts, bounds, the applications, the date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import RefusalError
from tuckshop.edge.app import App
from tuckshop.edge.body_memory import BodyMemory
from tuckshop.edge.forwarded import TrustedProxies
from tuckshop.edge.head import Headers, RequestHead
from tuckshop.edge.limits import EdgeLimits

if TYPE_CHECKING:
    from tuckshop.edge.connection import Connection
    from tuckshop.edge.exchange import Exchange

Refuse = Callable[[RefusalError], tuple[int, Headers, bytes]]


class Floor:
    """
    Shared by the connections of one server.

    Attributes:
        connections: The open ones.
        trusted_proxies: Whose forwarding fields are believed.
        in_flight: Requests that are being served.
        bodies: Request bodies in memory.
        tasks: What serves them, where it is a task.
        is_draining: No connection takes another request.
    """

    def __init__(
        self,
        app: App,
        serve_by_asgi: Callable[[Exchange], Coroutine[Any, Any, None]],
        asgi_paths: tuple[str, ...],
        limits: EdgeLimits,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        refuse_by_asgi: Refuse | None = None,
        trusted_proxies: TrustedProxies | None = None,
    ) -> None:
        self.app = app
        self._refuse_by_asgi = refuse_by_asgi
        self.serve_by_asgi = serve_by_asgi
        self.limits = limits
        self.loop = loop
        self.trusted_proxies = trusted_proxies or TrustedProxies()
        self.connections: set[Connection] = set()
        self.in_flight = 0
        self.bodies = BodyMemory(limits.buffered_bodies_max_bytes)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.is_draining = False
        self._asgi_exact = frozenset(asgi_paths)
        self._asgi_below = tuple(f"{path}/" for path in asgi_paths)
        self._clock = clock
        self._date_until = 0.0
        self._date_field = b""

    def serves_by_asgi(self, path: str) -> bool:
        """Is *path* one of the ASGI application's? Compared raw: nothing is decoded or normalised first (E3)."""
        return path in self._asgi_exact or path.startswith(self._asgi_below)

    def refuse(self, error: RefusalError, head: RequestHead | None) -> tuple[int, Headers, bytes]:
        """Word a refusal of the edge as the application at that path would."""
        if self._refuse_by_asgi is not None and head is not None and self.serves_by_asgi(head.path):
            return self._refuse_by_asgi(error)
        return self.app.refuse(error, head)

    def date_field(self) -> bytes:
        """The `Date` field, right to the second or so."""
        if self.loop.time() >= self._date_until:
            self._date_until = self.loop.time() + 1
            now_s = self._clock.now_us() // US_PER_SECOND
            self._date_field = b"date: %b" % formatdate(now_s, usegmt=True).encode("ascii")
        return self._date_field
