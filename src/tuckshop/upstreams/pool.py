"""
Connections to one upstream, kept alive and used again.

The last one given back is the first one taken, so that a quiet hour lets the others run out. An idle connection is
dropped before the upstream does it, and asked whether it is alive before it is used. A request that was written is
never written a second time here: whether that is safe is a question of money, and the caller's (M13).
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections import deque
from typing import Any, Final

from tuckshop.tasks import spawn
from tuckshop.upstreams.addresses import AddressGuard
from tuckshop.upstreams.base_url import BaseUrl, parse_base_url
from tuckshop.upstreams.connection import UpstreamConnection
from tuckshop.upstreams.dial import DialError, dial
from tuckshop.upstreams.exchange import Headers, Receiver, UpstreamExchange
from tuckshop.upstreams.failure import UpstreamFailure
from tuckshop.upstreams.limits import UpstreamLimits
from tuckshop.upstreams.proxy import UpstreamProxy
from tuckshop.upstreams.tls import client_context

_log: Final = logging.getLogger(__name__)

_PATH: Final = re.compile(r"/[!\"$-~]*")
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_OURS: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"accept-encoding"}
)
_SWEEP_S: Final = 1.0
_COMPLAIN_S: Final = 1.0  # an upstream that is down is told once a second, not once a call


class UpstreamPool:
    """
    Exchanges with one upstream. To be made and used on one running event loop.

    Args:
        base_url: Text, or parsed. Its host is the only one that is ever connected to, and no redirect is followed.
        tls: For https; None takes the system's store.
        proxy: Through which every connection goes. None: straight, whatever the environment says.
        guard: Which addresses may be dialled. None: all.
        what: What the log calls it.
    Raises:
        ValueError: What is wrong with the base URL.
    """

    def __init__(
        self,
        base_url: BaseUrl | str,
        tls: ssl.SSLContext | None = None,
        limits: UpstreamLimits | None = None,
        proxy: UpstreamProxy | None = None,
        guard: AddressGuard | None = None,
        what: str = "upstream",
    ) -> None:
        self.base_url = parse_base_url(base_url) if isinstance(base_url, str) else base_url
        self.limits = limits or UpstreamLimits()
        self.loop = asyncio.get_running_loop()
        self._tls = (tls or client_context()) if self.base_url.is_tls else None
        self._proxy = proxy
        self._guard = guard
        self.what = what
        self._open: set[UpstreamConnection] = set()
        self._idle: deque[UpstreamConnection] = deque()  # the longest idle first
        self._dialling: set[asyncio.Task[Any]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._is_retired = False
        self._complained_at = -_COMPLAIN_S
        self._fixed_lines = f"host: {self.base_url.authority}\r\naccept-encoding: identity".encode(
            "ascii"
        )

    @property
    def open_connections(self) -> int:
        """Connections that stand, idle ones too."""
        return len(self._open)

    @property
    def idle_connections(self) -> int:
        """Connections that wait to be used again."""
        return len(self._idle)

    @property
    def dialling(self) -> int:
        """Connections being made."""
        return len(self._dialling)

    def open(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes,
        receiver: Receiver,
        *,
        gap_timeout_s: float | None = None,
    ) -> UpstreamExchange:
        """
        Send a request; its reply goes to *receiver*, which hears nothing before this has returned.

        Args:
            path: Below the base URL's, with the query; visible ASCII.
            headers: Without host, length, connection and accept-encoding, which are set here.
            gap_timeout_s: Longest silence within the reply, where it differs from the limits'.
        Raises:
            ValueError: Method, path or a field cannot stand in a request.
        """
        request = self._request(method, path, headers, body)
        exchange = UpstreamExchange(
            receiver,
            deadline_at=self.loop.time() + self.limits.request_timeout_s,
            gap_timeout_s=self.limits.gap_timeout_s if gap_timeout_s is None else gap_timeout_s,
        )
        connection = self._take_idle()
        if connection is not None:
            connection.begin(exchange, request)
        else:
            exchange.dialling = spawn(
                self._dial(exchange, request), name="dial upstream", tasks=self._dialling
            )
        return exchange

    def retire(self) -> None:
        """Nothing new is to come: exchanges under way go on to their end, and connections close as they are free."""
        self._is_retired = True
        for connection in list(self._idle):
            connection.close()

    async def close(self) -> None:
        """Close everything; exchanges under way fail."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for task in list(self._dialling):
            task.cancel()
        if self._dialling:
            await asyncio.wait(list(self._dialling))
        for connection in list(self._open):
            connection.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def give_back(self, connection: UpstreamConnection) -> None:
        """A connection is free again (called by it)."""
        if self._is_closed or self._is_retired or len(self._idle) >= self.limits.idle_max:
            connection.close()
            return
        connection.idle_since = self.loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(_SWEEP_S, self._sweep)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is closed (called by it)."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _take_idle(self) -> UpstreamConnection | None:
        now = self.loop.time()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable(now):
                return connection
            connection.close()
        return None

    def _sweep(self) -> None:
        """Drop what has been idle for too long; runs only while something is idle."""
        self._sweeper = None
        now = self.loop.time()
        for connection in [c for c in self._idle if now - c.idle_since >= c.idle_timeout_s]:
            connection.close()
        if self._idle:
            self._sweeper = self.loop.call_later(_SWEEP_S, self._sweep)

    async def _dial(self, exchange: UpstreamExchange, request: bytes) -> None:
        try:
            connection = await dial(
                self.base_url,
                self._tls,
                lambda: UpstreamConnection(self),
                self.limits,
                self._proxy,
                self._guard,
            )
        except DialError as error:
            self._complain(error)
            exchange.fail(UpstreamFailure(error.kind, False, error.detail))
            return
        except asyncio.CancelledError:
            exchange.fail(UpstreamFailure("refused", False, "the pool is closed"))
            raise
        exchange.dialling = None
        if connection.is_closed or connection.transport.is_closing():
            exchange.fail(UpstreamFailure("refused", False, "closed as soon as it was open"))
            return
        self._open.add(connection)
        if exchange.is_over or self._is_closed:
            connection.close()
            exchange.fail(UpstreamFailure("refused", False, "the pool is closed"))
        else:
            connection.begin(exchange, request)

    def _complain(self, error: DialError) -> None:
        now = self.loop.time()
        if now >= self._complained_at + _COMPLAIN_S:
            self._complained_at = now
            _log.warning(
                "the %s at %s cannot be reached: %s", self.what, self.base_url.authority, error
            )

    def _request(self, method: str, path: str, headers: Headers, body: bytes) -> bytes:
        if method not in _METHODS or not _PATH.fullmatch(path):
            raise ValueError("such a method or path cannot be sent")
        lines = [
            f"{method} {self.base_url.prefix}{path} HTTP/1.1".encode("ascii"),
            self._fixed_lines,
            *map(b": ".join, headers),
        ]
        for name, _ in headers:
            if name in _OURS:
                raise ValueError("a field is given that the pool sets")
        if body or method != "GET":
            lines.append(b"content-length: %d" % len(body))
        lines += (b"", body)
        raw = b"\r\n".join(lines)
        ends = len(lines)  # one line end between two, and one more within the fixed lines
        head_size = len(raw) - len(body)
        if raw.count(b"\n", 0, head_size) != ends or raw.count(b"\r", 0, head_size) != ends:
            raise ValueError("a header field holds a line break")
        return raw
