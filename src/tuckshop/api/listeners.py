"""
What each of two listeners serves, where the admin API has one of its own.

The data plane's keeps what key holders and supervisors of the process need there: `/api/v1/me`, the pages behind claim
and appeal links with the calls that they make, `/healthz` and `/readyz`. The admin token works on the other one alone,
which has everything of the API and no data plane.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from tuckshop.api import problems
from tuckshop.domain.errors import NotFoundRefusalError, RefusalError
from tuckshop.edge.app import HeadVerdict
from tuckshop.edge.exchange import Exchange
from tuckshop.edge.head import Headers, RequestHead

HOLDERS_PATHS: Final = (
    *("/api/v1/me", "/api/v1/claim", "/claim", "/api/v1/appeal", "/appeal"),
    *("/healthz", "/readyz"),
)
_BELOW: Final = tuple(f"{path}/" for path in HOLDERS_PATHS)


class HoldersOnly:
    """The ASGI application as the data plane's listener shows it. An ASGI application itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in HOLDERS_PATHS or path.startswith(_BELOW):
            await self._app(scope, receive, send)
            return
        response = problems.respond(
            404,
            "There is nothing here: the admin API listens at an address of its own "
            "(TUCKSHOP_ADMIN_HOST, TUCKSHOP_ADMIN_PORT).",
        )
        await response(scope, receive, send)


class NoDataPlane:
    """What answers on the admin API's own listener where the ASGI application does not. An `App` of the edge."""

    def admit_head(self, head: RequestHead) -> HeadVerdict:
        """Refuse it."""
        raise NotFoundRefusalError(head.path, meant=None, reason=None, served=())

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """Never called: no head is admitted."""
        raise AssertionError("a head was admitted that none admits")

    def refuse(self, error: RefusalError, head: RequestHead | None) -> tuple[int, Headers, bytes]:
        """Word a refusal of the edge as the admin API does."""
        if not isinstance(error, NotFoundRefusalError):
            return problems.refused(error)
        response = problems.respond(
            404, "There is nothing here: this is the admin API's listener (/api/v1)."
        )
        headers = [(n, v) for n, v in response.raw_headers if n != b"content-length"]
        return response.status_code, headers, bytes(response.body)
