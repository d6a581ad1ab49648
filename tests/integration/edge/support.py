"""A scripted upstream, a plain relay, and raw sockets, all on loopback."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvloop

from tuckshop.domain.errors import RefusalError
from tuckshop.edge.app import HeadVerdict
from tuckshop.edge.asgi import AsgiApp
from tuckshop.edge.exchange import Exchange
from tuckshop.edge.head import Headers, RequestHead
from tuckshop.edge.limits import EdgeLimits
from tuckshop.edge.server import Edge
from tuckshop.system_clock import SystemClock
from tuckshop.upstreams.exchange import UpstreamExchange
from tuckshop.upstreams.failure import TimeoutKind, UpstreamFailure
from tuckshop.upstreams.pool import UpstreamPool

Run = Callable[[Coroutine[Any, Any, None]], None]
LOOPS: tuple[Any, ...] = (asyncio.run, uvloop.run)
Script = Callable[[bytes, bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def response(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields, b"", body]
    return b"\r\n".join(lines)


class Upstream:
    """Answers each path by a script; counts connections and keeps requests."""

    def __init__(self) -> None:
        self.scripts: dict[bytes, Script] = {}
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def says(self, path: str, *pieces: bytes, close: bool = False) -> None:
        """Let *path* be answered by *pieces*, each a write of its own."""

        async def script(head: bytes, body: bytes, _: Any, writer: asyncio.StreamWriter) -> None:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01 if len(pieces) > 1 else 0)
            if close:
                writer.close()

        self.scripts[path.encode()] = script

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                path = head.split(b" ", 2)[1]
                script = self.scripts[path.partition(b"?")[0]]
                if path.startswith(b"/early"):
                    await script(head, b"", reader, writer)
                    continue
                body = await reader.readexactly(int(length or 0))
                self.requests.append(head + body)
                await script(head, body, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side has gone
        finally:
            self._writers.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        """Close every connection at once, below the loop."""
        for writer in self._writers:
            descriptor = os.dup(writer.get_extra_info("socket").fileno())
            with socket.socket(fileno=descriptor) as sock:
                sock.shutdown(socket.SHUT_RDWR)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 22)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.02)


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    server = Upstream()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


class Reply:
    """A receiver that keeps everything."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.pieces: list[bytes] = []
        self.failure: UpstreamFailure | None = None
        self.timeouts: list[TimeoutKind] = []
        self.ends = 0
        self.began = asyncio.Event()
        self.over = asyncio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def on_head(self, status: int, headers: Headers) -> None:
        assert not self.status
        self.status, self.headers = status, headers

    def on_data(self, data: bytes) -> None:
        assert self.status
        self.pieces.append(data)
        self.began.set()

    def on_end(self) -> None:
        self.ends += 1
        self.over.set()

    def on_error(self, failure: UpstreamFailure) -> None:
        self.ends += 1
        self.failure = failure
        self.over.set()

    def on_timeout(self, kind: TimeoutKind) -> None:
        self.timeouts.append(kind)


async def fetch(
    pool: UpstreamPool, path: str, body: bytes = b"", method: str = "POST", **options: Any
) -> Reply:
    reply = Reply()
    pool.open(method, path, [(b"x-id", b"1")], body, reply, **options)
    async with asyncio.timeout(10):
        await reply.over.wait()
    assert reply.ends == 1
    return reply


class _Relaying:
    def __init__(self, exchange: Exchange, pool: UpstreamPool) -> None:
        self.exchange = exchange
        self.up: UpstreamExchange = pool.open(
            exchange.method, exchange.path, [], exchange.body, self
        )
        exchange.on_pause = self.up.pause
        exchange.on_resume = self.up.resume
        exchange.on_disconnect = self.up.abort

    def on_head(self, status: int, headers: Headers) -> None:
        self.exchange.start(status, [f for f in headers if f[0] == b"x-id"])

    def on_data(self, data: bytes) -> None:
        self.exchange.write(data)

    def on_end(self) -> None:
        self.exchange.end()

    def on_error(self, failure: UpstreamFailure) -> None:
        self.exchange.abort()

    def on_timeout(self, kind: TimeoutKind) -> None: ...


class RelayApp:
    """Relays everything to one pool; without one, echoes."""

    def __init__(self, pool: UpstreamPool | None = None, *, max_body: int = 1 << 20) -> None:
        self.pool = pool
        self.max_body = max_body
        self.handled = 0

    def admit_head(self, head: RequestHead) -> HeadVerdict:
        return HeadVerdict(self.max_body)

    async def handle(self, exchange: Exchange) -> None:
        self.handled += 1
        if self.pool is not None:
            _Relaying(exchange, self.pool)
        else:
            exchange.reply(200, [], exchange.path.encode() + b" " + exchange.body)

    def refuse(self, error: RefusalError, head: RequestHead | None) -> tuple[int, Headers, bytes]:
        return error.status, [], error.code.encode()


@asynccontextmanager
async def edge(
    app: RelayApp, limits: EdgeLimits | None = None, asgi: AsgiApp | None = None
) -> AsyncIterator[Edge]:
    server = Edge(app, asgi, limits or EdgeLimits(), SystemClock())
    await server.serve("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close(0)
        assert server.in_flight == 0
        assert server.buffered_bytes == 0
        assert server.open_connections == 0


async def talk(port: int, *pieces: bytes, pause_s: float = 0.0, eof: bool = False) -> bytes:
    """What a server says to *pieces* until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            if eof:
                writer.write_eof()
            return await reader.read()
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()
