"""
Pages that call the data plane from a browser: CORS for the origins that the operator names, and nobody else.

Stands between the edge and the gateway. A preflight carries no key and is answered before one is asked for; every
other reply to an allowed origin, a refusal too, carries the fields that let the page read it. No credentials of the
browser's own are ever asked for: the key is in a header that the page sets.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Coroutine
from typing import Any, Final

from tuckshop.domain.errors import RefusalError
from tuckshop.edge.app import App, HeadVerdict
from tuckshop.edge.exchange import Exchange
from tuckshop.edge.head import Headers, RequestHead
from tuckshop.protocols.openai.table import ENDPOINTS, check_plain

ANY: Final = "*"
EXPOSED: Final = (
    *("x-request-id", "retry-after", "retry-after-ms", "x-should-retry"),
    *(f"x-ratelimit-{what}-{of}" for of in ("requests", "tokens") for what in ("limit", "remaining", "reset")),
    *("x-tuckshop-upstream-request-id", "x-tuckshop-budget-remaining-usd", "x-tuckshop-cost-usd"),
    "x-tuckshop-output-cap",
)  # fmt: skip
MAX_AGE_S: Final = 7_200  # browsers ask again after at most this long, whatever is said
ASKED_MAX_BYTES: Final = 4_096

_METHODS: Final = ", ".join(sorted({row.method for row in ENDPOINTS})).encode()
_FIELD_NAMES: Final = re.compile(rb"[A-Za-z0-9-]+(?:[ \t]*,[ \t]*[A-Za-z0-9-]+)*")


class _Preflight:
    """In the place of a verdict's context: answer this one here."""


_PREFLIGHT: Final = _Preflight()


class BrowserAccess:
    """
    An `App` that answers preflights and lets the others through, marked for the browser.

    Args:
        app: Serves what is no preflight.
        origins: As browsers send them, or `*` for all.
    """

    def __init__(self, app: App, origins: Collection[str]) -> None:
        self._app = app
        self._any = ANY in origins
        self._origins = frozenset(origin.encode("ascii") for origin in origins)

    def admit_head(self, head: RequestHead) -> HeadVerdict:
        """Judge a head, with the fields for the browser laid down for whatever answer it gets."""
        origin = head.header(b"origin")
        if not self._any:
            head.reply_fields = _VARY
        if origin is None or not (self._any or origin in self._origins):
            return self._app.admit_head(head)
        head.reply_fields = self._fields(origin)
        if head.method == "OPTIONS" and head.header(b"access-control-request-method") is not None:
            check_plain(head.path)
            return HeadVerdict(max_body=0, context=_PREFLIGHT)
        return self._app.admit_head(head)

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """Serve a request."""
        if exchange.context is _PREFLIGHT:
            exchange.reply(204, _preflight_fields(exchange.head), b"")
            return None
        return self._app.handle(exchange)

    def refuse(self, error: RefusalError, head: RequestHead | None) -> tuple[int, Headers, bytes]:
        """Word a refusal."""
        return self._app.refuse(error, head)

    def _fields(self, origin: bytes) -> Headers:
        exposed = (b"access-control-expose-headers", _EXPOSED)
        if self._any:
            return [(b"access-control-allow-origin", b"*"), exposed]
        return [(b"access-control-allow-origin", origin), exposed, *_VARY]


# A cache in between must not hand one origin's answer to another.
_VARY: Final = ((b"vary", b"origin"),)
_EXPOSED: Final = ", ".join(EXPOSED).encode()


def _preflight_fields(head: RequestHead) -> Headers:
    fields = [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-max-age", b"%d" % MAX_AGE_S),
    ]
    asked = head.header(b"access-control-request-headers") or b""
    # Whatever a client library sends may come: what goes up is an allow-list of its own (E4).
    if len(asked) <= ASKED_MAX_BYTES and _FIELD_NAMES.fullmatch(asked):
        fields.append((b"access-control-allow-headers", asked))
    return fields
