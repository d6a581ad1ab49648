"""What the edge asks of the application behind it: the gateway, in `server.py`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tuckshop.domain.errors import RefusalError

if TYPE_CHECKING:
    from tuckshop.edge.exchange import Exchange
    from tuckshop.edge.head import Headers, RequestHead


class HeadVerdict(msgspec.Struct, frozen=True):
    """What is done with a request whose head is known and whose body is not yet read."""

    max_body: int  # bytes; more is 413, by Content-Length before any of it is read
    refusal: RefusalError | None = None  # answered without handing the request on
    context: Any = None  # handed on as `exchange.context`: the route, the key
    asker: str = ""  # whose body it is; "": anybody's, such as those of the admin side


class App(Protocol):
    """Serves every path that the ASGI application does not. All methods are called on the event loop."""

    def admit_head(self, head: RequestHead) -> HeadVerdict:
        """Judge a head: route, key, flood. May raise a RefusalError instead of returning one."""

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """
        Serve a request whose body is complete.

        A coroutine (`async def handle`) runs as a task; a plain function that returns None has served the request or
        arranged callbacks that will. Either may return before the reply ends: only `end`, `reply` or `abort` ends it.
        """

    def refuse(self, error: RefusalError, head: RequestHead | None) -> tuple[int, Headers, bytes]:
        """
        Word a refusal that the edge makes or was handed.

        Args:
            head: None where there is none that could be parsed.
        Returns:
            Status, header fields (without length and connection) and body.
        """
