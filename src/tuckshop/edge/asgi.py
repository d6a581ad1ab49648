"""
The bridge to the ASGI application: admin API, health, metrics, on the same port as the data plane.

It needs comfort, not speed: each request is a task. The body is read whole, within the edge's bounds, before the
application starts. Paths with anything that decodes to a separator or a dot segment are refused (E3).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

from tuckshop.domain.errors import InvalidRequestError
from tuckshop.edge.exchange import Exchange

_log: Final = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

_UNCLEAN: Final = re.compile(
    r"//|\\|(?:^|/)\.{1,2}(?:/|$)|%(?:2[ef5]|5c|00|[^0-9a-f]|.[^0-9a-f]|.?$)", re.I
)
_OURS: Final = frozenset({b"content-length", b"transfer-encoding", b"connection", b"date"})


class AsgiBridge:
    """
    Serves exchanges by an ASGI application.

    Attributes:
        server: Host and port listened on, as the scope tells them.
    """

    def __init__(self, app: AsgiApp | None) -> None:
        self._app = app
        self.server: tuple[str, int] = ("", 0)

    async def serve(self, exchange: Exchange) -> None:
        """
        Serve one exchange.

        Raises:
            InvalidRequestError: The path is not clean.
        """
        if _UNCLEAN.search(exchange.path):
            raise InvalidRequestError("the path holds a dot segment or an encoded separator")
        assert self._app is not None
        conversation = _Conversation(exchange)
        try:
            await self._app(self._scope(exchange), conversation.receive, conversation.send)
        except Exception as error:
            if not exchange.client_left:
                raise
            _log.debug("the client left: %r", error)
        if not exchange.ended and not exchange.client_left:
            exchange.abort()  # it returned before its reply was complete

    def _scope(self, exchange: Exchange) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1" if exchange.head.version_minor else "1.0",
            "method": exchange.method,
            "scheme": exchange.head.scheme,
            "path": unquote(exchange.path),
            "raw_path": exchange.path.encode("ascii"),
            "query_string": exchange.query.encode("ascii"),
            "root_path": "",
            "headers": exchange.headers,
            "client": (exchange.peer, 0) if exchange.peer else None,
            "server": self.server,
            "state": {},
            "extensions": {},
        }


class _Conversation:
    """One exchange as ASGI's pair of channels."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._length: int | None = None
        self._body_given = False
        self._over = asyncio.Event()  # the client has left, or the reply has ended
        self._may_write = asyncio.Event()
        self._may_write.set()
        exchange.on_disconnect = self._leave
        exchange.on_pause = self._may_write.clear
        exchange.on_resume = self._may_write.set

    def _leave(self) -> None:
        self._over.set()
        self._may_write.set()

    async def receive(self) -> Message:
        if not self._body_given:
            self._body_given = True
            return {"type": "http.request", "body": self._exchange.body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        exchange = self._exchange
        if exchange.client_left:
            raise ConnectionResetError("the client has left")
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [(n.lower(), v) for n, v in message.get("headers", ())]
            self._length = next((int(v) for n, v in headers if n == b"content-length"), None)
            self._headers = [(n, v) for n, v in headers if n not in _OURS]
            return
        if message["type"] != "http.response.body":
            raise ValueError(f"no such message is understood: {message['type']}")
        body, more = bytes(message.get("body", b"")), message.get("more_body", False)
        if not exchange.started:
            if not more and exchange.method != "HEAD":
                exchange.reply(self._status, self._headers, body)
                self._over.set()
                return
            exchange.start(self._status, self._headers, self._length)
        if more:
            exchange.write(body)
            await self._may_write.wait()
        else:
            exchange.end(body)
            self._over.set()
