"""The edge as a whole: listens, serves, and ends in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tuckshop.domain.clock import Clock
from tuckshop.edge.app import App
from tuckshop.edge.asgi import AsgiApp, AsgiBridge
from tuckshop.edge.connection import Connection
from tuckshop.edge.floor import Floor, Refuse
from tuckshop.edge.forwarded import TrustedProxies
from tuckshop.edge.limits import EdgeLimits
from tuckshop.edge.listener import Listener, bind

ASGI_PATHS = ("/api", "/claim", "/appeal", "/healthz", "/readyz", "/metrics")


class Edge:
    """
    The server side of HTTP/1.1, on one port for the data plane and the ASGI application.

    Args:
        app: Serves every path that is not one of *asgi_paths* or below one.
        asgi_app: Serves those. None: *app* gets every path.
        refuse_by_asgi: Words what the edge refuses at those paths; None: *app* does.
        trusted_proxies: Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; None: nobody's.
    """

    def __init__(
        self,
        app: App,
        asgi_app: AsgiApp | None,
        limits: EdgeLimits,
        clock: Clock,
        *,
        asgi_paths: Iterable[str] = ASGI_PATHS,
        refuse_by_asgi: Refuse | None = None,
        trusted_proxies: TrustedProxies | None = None,
    ) -> None:
        self._app = app
        self._bridge = AsgiBridge(asgi_app)
        self._limits = limits
        self._clock = clock
        self._trusted_proxies = trusted_proxies
        self._asgi_paths = tuple(asgi_paths) if asgi_app is not None else ()
        self._refuse_by_asgi = refuse_by_asgi
        self._listeners: list[Listener] = []
        self._floor: Floor | None = None
        self.port = 0  # the one listened on, once `serve` has returned

    async def serve(self, host: str, port: int) -> None:
        """
        Begin to accept connections on every address of *host*; returns at once.

        Args:
            port: 0 takes a free one, told by `port` afterwards.
        Raises:
            OSError: The address cannot be had.
        """
        loop = asyncio.get_running_loop()
        floor = self._floor = Floor(
            self._app,
            self._bridge.serve,
            self._asgi_paths,
            self._limits,
            self._clock,
            loop,
            self._refuse_by_asgi,
            self._trusted_proxies,
        )
        sockets = await bind(host, port, backlog=self._limits.backlog)
        self.port = sockets[0].getsockname()[1]
        self._bridge.server = (host, self.port)
        for sock in sockets:
            listener = Listener(sock, lambda: Connection(floor), floor)
            listener.start()
            self._listeners.append(listener)

    @property
    def in_flight(self) -> int:
        """Requests being served."""
        return self._floor.in_flight if self._floor is not None else 0

    @property
    def open_connections(self) -> int:
        """Client connections."""
        return len(self._floor.connections) if self._floor is not None else 0

    @property
    def buffered_bytes(self) -> int:
        """Request bodies in memory, all together."""
        return self._floor.bodies.held if self._floor is not None else 0

    def stop_accepting(self) -> None:
        """No new connection, no further request on an open one; what is under way goes on."""
        for listener in self._listeners:
            listener.close()
        if self._floor is not None:
            self._floor.is_draining = True
            for connection in list(self._floor.connections):
                connection.close_if_idle()

    @property
    def is_busy(self) -> bool:
        """Is any request under way?"""
        floor = self._floor
        return floor is not None and any(connection.is_busy for connection in floor.connections)

    async def drained(self, seconds: float) -> bool:
        """Wait until nothing is under way, at most *seconds*; True if so."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.is_busy:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    async def cut(self) -> None:
        """Cut what is still under way: each exchange learns that its client has gone."""
        floor = self._floor
        if floor is None:
            return
        for connection in list(floor.connections):
            connection.cut()
        for _ in range(100):  # transports tell their protocols in the next turns of the loop
            if not floor.connections:
                break
            await asyncio.sleep(0)
        if floor.tasks:
            _, late = await asyncio.wait(floor.tasks, timeout=5)
            for task in late:
                task.cancel()

    async def close(self, drain_s: float) -> bool:
        """
        Stop in order: accept nothing, let running replies end for up to *drain_s*, cut the rest.

        Returns:
            True if nothing had to be cut.
        """
        self.stop_accepting()
        clean = await self.drained(drain_s)
        await self.cut()
        return clean
