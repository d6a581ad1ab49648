"""The admin API as an ASGI application: finds the route, checks the caller, reads the call, answers as JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as StarletteRoute

from tuckshop.api import docs_page, openapi, problems
from tuckshop.api.access import Access
from tuckshop.api.conditions import expected_of
from tuckshop.api.idempotency import OneAtATime, claim_of
from tuckshop.api.reading import body_of, decode, query_of
from tuckshop.api.routes import ROUTES
from tuckshop.api.routing import JSON_TYPE, Call, Route
from tuckshop.api.tables import wanted
from tuckshop.domain.errors import TuckshopError
from tuckshop.services.assembly import Services
from tuckshop.services.once import Once
from tuckshop.services.shapes.parts import Sent, Shown, Versioned
from tuckshop.services.versions import Expected, tag_of

_log: Final = logging.getLogger(__name__)
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class Health(Shown, frozen=True, kw_only=True):
    """The process lives, or can serve."""

    status: str


class NoQuery(Sent, frozen=True, kw_only=True):
    """A call that takes no query."""


Page = Callable[[], bytes]
Readiness = Callable[[], str | None]  # why it cannot serve; None: it can


def build_app(
    *,
    services: Services,
    admin_token: str,
    readiness: Readiness,
    metrics: Page = lambda: b"",
    pages: Sequence[BaseRoute] = (),
    public_url: str | None = None,
) -> Starlette:
    """
    The application.

    Args:
        admin_token: The operator's bearer token; only its digest is kept.
        readiness: Asked by ``/readyz``.
        metrics: Makes the page of ``/metrics``.
        pages: What is served besides: pages for people.
        public_url: How people reach the server.
    """
    routes = all_routes(readiness, metrics)
    access = Access(admin_token, services.directory, public_url)
    one_at_a_time = OneAtATime()
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        methods = by_path.setdefault(route.path, {})
        assert route.method not in methods, f"{route.method} {route.path} stands twice"
        methods[route.method] = route
    app = Starlette(
        routes=[
            StarletteRoute(path, _Endpoint(methods, access, services, one_at_a_time), methods=None)
            # A path that is named whole comes before one that a parameter would match as well.
            for path, methods in sorted(by_path.items(), key=lambda item: item[0].count("{"))
        ]
        + list(pages)
    )
    app.router.redirect_slashes = False  # a redirect would be built from `Host`
    app.router.default = _NotFound(routes)
    return app


def all_routes(readiness: Readiness, metrics: Page = lambda: b"") -> tuple[Route, ...]:
    """The whole table: the admin API, its description, and whether the server is well."""

    async def healthz(call: Call) -> object:
        return Health(status="ok")

    async def readyz(call: Call) -> object:
        reason = readiness()
        if reason is not None:
            raise problems.ProblemError(503, f"Not ready: {reason}.", headers={"retry-after": "5"})
        return Health(status="ready")

    async def prometheus(call: Call) -> object:
        return Response(metrics(), headers={**problems.HEADERS, "content-type": METRICS_TYPE})

    async def openapi_json(call: Call) -> object:
        return (await asyncio.to_thread(_described))[0]

    async def docs(call: Call) -> object:
        _, page = await asyncio.to_thread(_described)
        headers = {
            **problems.HEADERS,
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": docs_page.policy(),
            "referrer-policy": "no-referrer",
        }
        return Response(page, headers=headers)

    public = tuple(
        Route(
            method="GET",
            path=path,
            handler=handler,
            role="public",
            scope="server",
            response=response,
            summary=summary,
            answers=answers,
        )
        for path, handler, response, summary, answers in (
            ("/healthz", healthz, Health, "Whether the process lives", JSON_TYPE),
            ("/readyz", readyz, Health, "Whether the server can serve", JSON_TYPE),
            (
                "/metrics",
                prometheus,
                str,
                "Sums of the whole server, as Prometheus reads them",
                "text/plain",
            ),
            (
                "/api/openapi.json",
                openapi_json,
                dict[str, Any],
                "This description, for machines",
                JSON_TYPE,
            ),
            ("/api/docs", docs, str, "This description, as a page for people", "text/html"),
        )
    )
    return (*ROUTES, *public)


@cache
def _described() -> tuple[dict[str, Any], bytes]:
    """
    The table, for machines and for people.

    It takes a good tenth of a second, so no start waits for it: whoever asks first does, in a thread.
    """
    routes = all_routes(lambda: None)
    description = openapi.document(routes)
    return description, docs_page.page(description, routes)


class _Endpoint:
    """Everything that is served at one path, by method. An ASGI application."""

    def __init__(
        self,
        methods: Mapping[str, Route],
        access: Access,
        services: Services,
        one_at_a_time: OneAtATime,
    ) -> None:
        self._methods = methods
        self._access = access
        self._services = services
        self._one_at_a_time = one_at_a_time

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        route = self._methods.get(request.method)
        if route is None:
            allowed = ", ".join(sorted(self._methods))
            return problems.respond(
                405, f"Here is {allowed}, not {request.method}.", headers={"allow": allowed}
            )
        try:
            answer = await self._call(route, request)
        except TuckshopError as error:
            return problems.of_error(error)
        except Exception:  # noqa: BLE001 - the outer edge of a call
            _log.exception("%s %s failed", route.method, route.path)
            return problems.respond(500, "The server failed at this; its log says why.")
        if isinstance(answer, Response):
            return answer
        headers = dict(problems.HEADERS)
        if isinstance(answer, Versioned):
            headers["etag"] = f'"{tag_of(answer)}"'
        return Response(
            _ENCODER.encode(answer),
            status_code=route.status,
            media_type="application/json",
            headers=headers,
        )

    async def _call(self, route: Route, request: Request) -> object:
        actor, holder = self._access.check(request, route.role, self._services.clock)
        expected = self._expected(route, request)
        query = query_of(request, route.query or NoQuery)
        body: object = None
        claim: Once | None = None
        media_type = JSON_TYPE
        if route.method != "GET":
            sent, media_type = await body_of(request, route.media_types)
            claim = claim_of(request, sent, media_type) if route.makes else None
            if route.raw_body:
                body = sent
            elif route.request is not None:
                optional = route.body_optional and not sent.strip()
                body = await decode(b"{}" if optional else sent, route.request)
            elif sent.strip() not in (b"", b"{}"):
                raise problems.ProblemError(422, "This call takes no body.")
        table_type = wanted(request.headers.get("accept", ""), route.table_types)
        call = Call(
            services=self._services,
            actor=actor,
            path={name: str(value) for name, value in request.path_params.items()},
            query=query,
            body=body,
            media_type=media_type,
            table_type=table_type,
            holder=holder,
            presented=None if holder is None else self._access.presented(request),
            claim=claim,
            expected=expected,
        )
        async with self._one_at_a_time.turn(actor, claim):
            return await route.handler(call)

    @staticmethod
    def _expected(route: Route, request: Request) -> Expected | None:
        expected = expected_of(request)
        if expected is not None and not route.is_conditional:
            # Unheard, it would let somebody believe in a protection that there is not.
            raise problems.ProblemError(
                422, "If-Match is for PATCH and DELETE of what has an ETag: leave it out here."
            )
        return expected


class _NotFound:
    """Answers every path without a row. An ASGI application."""

    def __init__(self, routes: Sequence[Route]) -> None:
        served = sorted({route.path for route in routes if route.role != "public"})
        self._detail = f"There is nothing here. Served are {', '.join(served)}."

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        response = problems.respond(404, self._detail)
        await response(scope, receive, send)
