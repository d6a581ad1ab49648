"""The ASGI application on the same port: admin API and health (E3, E6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.integration.edge.support import LOOPS, RelayApp, Run, edge, talk
from tuckshop.edge.limits import EdgeLimits

pytestmark = pytest.mark.parametrize("run", LOOPS)


async def _echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "name": request.path_params["name"],
            "query": dict(request.query_params),
            "body": body.decode(),
            "raw": request.scope["raw_path"].decode(),
            "host": request.client.host if request.client else None,
        }
    )


async def _fail(request: Request) -> Response:
    raise RuntimeError("not for the client's eyes")


async def _health(request: Request) -> Response:
    return PlainTextResponse("ok")


def _app(counts: dict[str, int]) -> Starlette:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(100_000):
            counts["made"] = number
            yield b"%06d\n" % number * 100

    async def stream(request: Request) -> Response:
        return StreamingResponse(lines())

    return Starlette(
        routes=[
            Route("/api/v1/echo/{name}", _echo, methods=["GET", "POST"]),
            Route("/api/v1/stream", stream),
            Route("/api/v1/fail", _fail),
            Route("/healthz", _health),
        ]
    )


def request(line: str, *fields: str, body: str = "") -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: a", "Connection: close", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def test_requests_reach_the_application_as_they_came(run: Run) -> None:
    async def scene() -> None:
        async with edge(RelayApp(), asgi=_app({})) as shop:
            said = await talk(shop.port, request("POST /api/v1/echo/a%20b?q=1", body="hello"))
            health = await talk(shop.port, request("HEAD /healthz"))
            data_plane = await talk(shop.port, request("GET /apiary"))
            failed = await talk(shop.port, request("GET /api/v1/fail"))

        assert b'"method":"POST","name":"a b","query":{"q":"1"},"body":"hello"' in said
        assert b'"raw":"/api/v1/echo/a%20b","host":"127.0.0.1"' in said
        assert said.count(b"content-length") == 1
        assert health.startswith(b"HTTP/1.1 200 OK")
        assert health.endswith(b"\r\n\r\n")
        assert data_plane.endswith(b"/apiary ")
        assert failed.startswith(b"HTTP/1.1 500")
        assert b"eyes" not in failed

    run(scene())


@pytest.mark.parametrize(
    "path",
    [
        "/api/../v1/x",
        "/api//v1",
        "/api/%2e%2e/v1",
        "/api/a%2Fb",
        "/api/a%5Cb",
        "/api/%zz",
        "/api/%0",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(run: Run, path: str) -> None:
    """E3."""

    async def scene() -> None:
        async with edge(RelayApp(), asgi=_app({})) as shop:
            said = await talk(shop.port, request(f"GET {path}"))

        assert said.startswith(b"HTTP/1.1 400")

    run(scene())


def test_bodies_are_bounded(run: Run) -> None:
    async def scene() -> None:
        async with edge(RelayApp(), EdgeLimits(body_max_bytes=10), _app({})) as shop:
            said = await talk(shop.port, request("POST /api/v1/echo/a", body="x" * 11))

        assert said.startswith(b"HTTP/1.1 413")

    run(scene())


def test_a_stream_goes_at_its_readers_speed_and_ends_when_they_leave(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """E6. Leaving is ordinary: nothing is logged."""

    async def scene() -> None:
        counts: dict[str, int] = {}
        async with edge(RelayApp(), asgi=_app(counts)) as shop:
            reader, writer = await asyncio.open_connection("127.0.0.1", shop.port, limit=2**16)
            writer.write(request("GET /api/v1/stream"))
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.2)
            first = counts["made"]
            await asyncio.sleep(0.2)
            assert counts["made"] == first < 90_000
            writer.transport.abort()
            await asyncio.sleep(0.2)
            assert shop.in_flight == 0
            assert counts["made"] <= first + 1
            assert not caplog.records

    run(scene())


def test_admin_is_served_while_the_data_plane_is_full(run: Run) -> None:
    """E7."""

    async def scene() -> None:
        async with edge(RelayApp(), EdgeLimits(in_flight_max=0), _app({})) as shop:
            assert (await talk(shop.port, request("GET /v1/x"))).startswith(b"HTTP/1.1 503")
            assert (await talk(shop.port, request("GET /healthz"))).startswith(b"HTTP/1.1 200")

    run(scene())
