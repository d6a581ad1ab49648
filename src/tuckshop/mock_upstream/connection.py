"""
The made-up provider's own HTTP/1.1: asyncio and llhttp, one exchange at a time on a connection, callbacks only.

It also says what no clean server says: a raw byte, a reset, a length that is not kept. The scripts need that.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

import httptools

_WRITE_HIGH_WATER_BYTES: Final = 64 << 10
_REASONS: Final = {
    200: b"OK",
    307: b"Temporary Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    529: b"Site is overloaded",
}


@dataclass(slots=True)
class Request:
    """A request as it came."""

    method: str = ""
    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)  # names as they were written
    body: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header called *name* (in small letters)."""
        for given, value in self.headers:
            if given.lower() == name:
                return value
        return None


class Application(Protocol):
    """What a connection serves."""

    def connected(self, connection: Connection) -> None:
        """A client has come."""

    def disconnected(self, connection: Connection) -> None:
        """It has gone."""

    def head_read(self, request: Request, connection: Connection) -> bool:
        """The head of a request is here; False: this request will not be read on."""

    def serve(self, request: Request, exchange: Exchange) -> None:
        """A whole request is here. Returns at once; the exchange is ended later."""


class Exchange:
    """The reply side of one request."""

    __slots__ = ("connection", "gone", "keep_alive", "on_gone", "on_writable", "open")

    def __init__(self, connection: Connection, *, keep_alive: bool) -> None:
        self.connection = connection
        self.keep_alive = keep_alive
        self.open = True
        self.gone = False
        self.on_gone: Callable[[], None] | None = None
        self.on_writable: Callable[[], None] | None = None

    @property
    def writable(self) -> bool:
        """Whether the client reads what it is sent."""
        return self.connection.writable

    def head(self, status: int, fields: bytes) -> bytes:
        """A reply's head with *fields* (each with its CR LF), to be written."""
        return b"HTTP/1.1 %d %b\r\n%bconnection: %b\r\n\r\n" % (
            status,
            _REASONS.get(status, b"Unknown"),
            fields,
            b"keep-alive" if self.keep_alive else b"close",
        )

    def write(self, data: bytes) -> None:
        """Send *data* as it is; nothing, if the client has gone."""
        if not self.gone and data:
            self.connection.transport.write(data)

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        """The whole reply in one."""
        fields = b"%bcontent-length: %d\r\n" % (fields, len(body))
        self.write(self.head(status, fields) + body)
        self.end()

    def end(self) -> None:
        """The reply is complete: the connection is free for the next request, or closed."""
        if self.open:
            self.open = False
            self.connection.ended(self)

    def close(self) -> None:
        """End the connection as if nothing were wrong."""
        self.open = False
        self.connection.transport.close()

    def reset(self) -> None:
        """End the connection with a reset."""
        self.open = False
        self.connection.reset()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, application: Application, number: int) -> None:
        self.application = application
        self.number = number
        self.transport: asyncio.Transport
        self.writable = True
        self.current: Exchange | None = None
        self.lost = asyncio.Event()
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._body: list[bytes] = []
        self._deaf = False  # a script has refused a head: nothing of this client is served any more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self.transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER_BYTES)
        self.application.connected(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()
        self._waiting.clear()
        self.application.disconnected(self)
        exchange = self.current
        if exchange is not None and not exchange.gone:
            exchange.gone = True
            if exchange.on_gone is not None:
                exchange.on_gone()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        if self.current is not None and self.current.on_writable is not None:
            self.current.on_writable()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.transport.close()
        except httptools.HttpParserCallbackError:
            self.transport.abort()  # a fault of ours, not the client's: the loop tells it
            raise
        except httptools.HttpParserError:
            if not self.transport.is_closing():
                self.transport.write(
                    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\ncontent-length: 15\r\n"
                    b"connection: close\r\n\r\n400 Bad Request"
                )
                self.transport.close()

    # llhttp's callbacks
    def on_url(self, url: bytes) -> None:
        self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers.append((name, value))

    def on_headers_complete(self) -> None:
        request = self._request
        request.method = self._parser.get_method().decode()
        if (request.header(b"expect") or b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.application.head_read(request, self):
            self._deaf = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._deaf:
            return
        request, self._request = self._request, Request()
        request.body = b"".join(self._body)
        self._body.clear()
        keep_alive = self._parser.should_keep_alive()
        if self.current is not None:
            self._waiting.append((request, keep_alive))  # pipelined: served in turn
        else:
            self._serve(request, keep_alive=keep_alive)

    def _serve(self, request: Request, *, keep_alive: bool) -> None:
        self.current = exchange = Exchange(self, keep_alive=keep_alive)
        self.application.serve(request, exchange)

    def ended(self, exchange: Exchange) -> None:
        """*exchange* is over."""
        self.current = None
        if exchange.gone or self.transport.is_closing():
            return
        if not exchange.keep_alive:
            self.transport.close()
        elif self._waiting:
            request, keep_alive = self._waiting.popleft()
            self._serve(request, keep_alive=keep_alive)

    def reset(self) -> None:
        """RST instead of FIN."""
        if self.transport.is_closing():
            return
        number = self.transport.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(number)) as raw:  # uvloop's own takes no options
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
