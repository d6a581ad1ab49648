"""
One request and its reply, server side: what a gateway relays into.

There is no task and no queue per piece: `write` goes straight to the transport. Only the head of a reply is held for
the rest of the loop's turn, to share a system call with the first piece. Whoever feeds the exchange sets
`on_pause` and `on_resume` and stops its source in between (E6). After the client has left every call here does
nothing, so that a source can be read on to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

from tuckshop.edge.head import Headers, RequestHead

if TYPE_CHECKING:
    from tuckshop.edge.connection import Connection

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode("ascii"))
    for status in HTTPStatus
}

_FIELD: Final = b": ".join  # of a name and a value
_END: Final = b"\r\n"  # joined by one more: the empty line

Framing = Literal["none", "length", "chunked", "close"]


class Exchange:
    """
    A complete request, and the reply that is made to it.

    Attributes:
        method, path, query, headers, peer: Of the head, raw (`RequestHead`).
        body: All of it. `release_body` gives its memory back before the reply ends.
        context: Whatever `HeadVerdict.context` was.
        on_disconnect: Called once, when the client leaves before the reply has ended (it closed or half-closed the
            connection, reset it, or read nothing for too long) or is cut off at shutdown. While it is None, the task
            that runs `App.handle` is cancelled instead.
        on_pause, on_resume: Called when the client reads more slowly than is written, and when it has caught up.
        started, ended, client_left: How far it is.
    """

    __slots__ = (
        "_connection",
        "_framing",
        "_held",
        "_left",
        "_task",
        "body",
        "client_left",
        "context",
        "ended",
        "head",
        "headers",
        "method",
        "on_disconnect",
        "on_pause",
        "on_resume",
        "path",
        "peer",
        "query",
        "started",
    )

    def __init__(
        self, connection: Connection, head: RequestHead, body: bytes, context: object
    ) -> None:
        self._connection: Connection | None = connection
        self._framing: Framing = "none"
        self._left = 0
        self._held = b""  # the head, until the first piece or the end of the loop's turn
        self._task: asyncio.Task[None] | None = None
        self.head = head
        self.method = head.method
        self.path = head.path
        self.query = head.query
        self.headers = head.headers
        self.peer = head.peer
        self.body = body
        self.context: Any = context
        self.on_disconnect: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self.started = False
        self.ended = False
        self.client_left = False

    @property
    def is_paused(self) -> bool:
        """Does the client read more slowly than is written, right now?"""
        return self._connection is not None and self._connection.is_paused

    def start(self, status: int, headers: Headers, length: int | None = None) -> None:
        """
        Send the head of the reply.

        Args:
            headers: Without length, connection and date, which are set here.
            length: Of the body, where it is known. Without it pieces go out chunked (to HTTP/1.0: up to the close).
        """
        connection = self._connection
        if connection is not None:
            self._held = self._head(connection, status, headers, length)
            connection.call_soon(self._flush)

    def write(self, data: bytes) -> None:
        """Send a piece of the body, at once."""
        connection = self._connection
        if connection is None or not data:
            return
        framing = self._framing
        if framing == "chunked":
            data = b"%b%x\r\n%b\r\n" % (self._held, len(data), data)
        elif framing == "none":
            return
        else:
            if framing == "length":
                self._left -= len(data)
                if self._left < 0:
                    self.abort()
                    raise ValueError("more was written than the stated length")
            if self._held:
                data = self._held + data
        self._held = b""
        connection.transport.write(data)

    def end(self, data: bytes = b"") -> None:
        """Send the last piece, if there is one; the reply is complete."""
        connection = self._connection
        if connection is None:
            self.ended = True
            return
        if not self.started:
            raise ValueError("a reply cannot end before it has started")
        if self._framing == "chunked":
            last = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
            connection.transport.write(self._held + last)
            self._held = b""
        else:
            self.write(data)
            if self._framing == "length" and self._left:
                self.abort()  # the client must see that something is missing
                return
            self._flush()
        self._finish(connection)

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole reply in one write."""
        connection = self._connection
        if connection is None:
            self.ended = True
            return
        raw = self._head(connection, status, headers, len(body))
        connection.transport.write(raw if self._framing == "none" else raw + body)
        self._left = 0
        self._finish(connection)

    def abort(self) -> None:
        """Cut the connection, so that the client sees an incomplete reply. `on_disconnect` is not called."""
        connection = self._connection
        self.ended = True
        if connection is not None:
            self._detach()
            connection.reply_aborted()

    def release_body(self) -> None:
        """Drop the body: it has been sent on and is not needed again."""
        self.body = b""
        if self._connection is not None:
            self._connection.release_body()

    def leave(self) -> None:
        """The client is gone (called by the connection)."""
        if self._connection is None:
            return
        on_disconnect, task = self.on_disconnect, self._task
        self._detach()
        self.client_left = True
        if on_disconnect is not None:
            on_disconnect()
        elif task is not None:
            task.cancel()

    def attach(self, task: asyncio.Task[None]) -> None:
        """Say which task serves this exchange (called by the connection)."""
        self._task = task

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held and self._connection is not None:
            self._connection.transport.write(held)

    def _finish(self, connection: Connection) -> None:
        self._detach()
        self.ended = True
        connection.reply_ended()

    def _detach(self) -> None:
        # Callbacks lead back here: without them nothing is left for the cycle collector to find.
        self._connection = self._task = None
        self.on_disconnect = self.on_pause = self.on_resume = None

    def _head(
        self, connection: Connection, status: int, headers: Headers, length: int | None
    ) -> bytes:
        if self.started:
            raise ValueError("a reply starts once")
        self.started = True
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status, *map(_FIELD, headers)]
        if self.head.reply_fields:
            lines += map(_FIELD, self.head.reply_fields)
        if status in (204, 304):
            pass
        elif length is not None:
            lines.append(b"content-length: %d" % length)
            if self.method != "HEAD":
                self._framing, self._left = "length", length
        elif self.head.version_minor == 0:
            self._framing = "close"
            self.head.keep_alive = False
        else:
            lines.append(b"transfer-encoding: chunked")
            if self.method != "HEAD":
                self._framing = "chunked"
        if not connection.keeps_alive(self.head):
            lines.append(b"connection: close")
        lines.append(connection.date_field())
        lines.append(_END)
        raw = b"\r\n".join(lines)
        if raw.count(b"\n") != len(lines) or raw.count(b"\r") != len(lines):
            self.started = False
            raise ValueError("a header field holds a line break")
        return raw
