"""Raw sockets against the edge, on both loops (E1, E2, E5, E6)."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.edge.support import LOOPS, RelayApp, Run, edge, talk
from tuckshop.edge.limits import EdgeLimits

OK = b"POST /v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
LAST = b"GET /v1/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

pytestmark = pytest.mark.parametrize("run", LOOPS)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/0.9\r\n\r\n", b"400"),
        (b"GET /\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\nHost: a\n\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", b"400"),
        (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (OK.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost"), b"400"),
        (OK.replace(b"Host", b"Content-Length: 2\r\nHost"), b"400"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
            b"400",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", b"413"),
    ],
)
def test_what_is_not_clean_is_refused_and_the_connection_closed(
    run: Run, request_: bytes, status: bytes
) -> None:
    """E2: nothing after a bad request is ever taken for a request."""

    async def scene() -> None:
        app = RelayApp()
        async with edge(app) as server:
            said = await talk(server.port, OK + request_ + OK)

        assert said.count(b"HTTP/1.1 ") == 2
        assert said.split(b"HTTP/1.1 ")[2].startswith(status)
        assert b"connection: close" in said
        assert app.handled == 1

    run(scene())


def test_a_content_coding_is_refused(run: Run) -> None:
    """E5."""

    async def scene() -> None:
        async with edge(RelayApp()) as server:
            said = await talk(
                server.port, OK.replace(b"Host", b"Content-Encoding: br\r\nHost") + LAST
            )

        assert said.startswith(b"HTTP/1.1 415 ")
        assert b"unsupported_content_encoding" in said

    run(scene())


def test_requests_sent_ahead_are_answered_in_order(run: Run) -> None:
    async def scene() -> None:
        async with edge(RelayApp()) as server:
            said = await talk(server.port, OK * 50 + LAST)

        assert said.count(b"HTTP/1.1 200") == 51
        assert said.endswith(b"/v1/last ")

    run(scene())


def test_slow_heads_and_bodies_meet_their_deadline(run: Run) -> None:
    """E1."""

    async def scene() -> None:
        limits = EdgeLimits(head_timeout_s=0.2, body_timeout_s=0.2, keepalive_timeout_s=0.2)
        async with edge(RelayApp(), limits) as server:
            drip = [bytes([byte]) for byte in OK[:20]]
            head, body, idle = await asyncio.gather(
                talk(server.port, *drip, pause_s=0.02),
                talk(server.port, OK[:-1]),
                talk(server.port, OK),
            )

        assert head.startswith(b"HTTP/1.1 408")
        assert body.startswith(b"HTTP/1.1 408")
        assert idle.count(b"HTTP/1.1") == 1

    run(scene())


def test_a_refusal_can_be_read_while_the_body_is_still_being_sent(run: Run) -> None:
    """Closing with unread input would reset the connection and lose the 413."""

    async def scene() -> None:
        async with edge(RelayApp(max_body=10)) as server:
            head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n"
            said = await talk(server.port, head, *[b"x" * 50_000] * 20, pause_s=0.002, eof=True)

        assert said.startswith(b"HTTP/1.1 413")
        assert said.endswith(b"request_too_large")

    run(scene())


def test_a_half_closed_client_has_left(run: Run) -> None:
    """E6: after its whole request or within it, with no reply and no leftovers."""

    async def scene() -> None:
        class Silent(RelayApp):
            left = 0

            async def handle(self, exchange: object) -> None:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    self.left += 1
                    raise

        app = Silent()
        async with edge(app) as server:
            assert await talk(server.port, OK, pause_s=0.02, eof=True) == b""
            assert await talk(server.port, OK[:-1], pause_s=0.02, eof=True) == b""
            await asyncio.sleep(0.05)
            assert server.in_flight == 0
            assert server.open_connections == 0

        assert app.left == 1

    run(scene())


def test_connections_beyond_the_bound_are_closed_and_others_served(run: Run) -> None:
    """E7."""

    async def scene() -> None:
        async with edge(RelayApp(), EdgeLimits(connections_max=1)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(OK)
            await reader.readuntil(b"hi")
            assert await talk(server.port, LAST) in (b"", b"reset")
            writer.close()
            await asyncio.sleep(0.05)
            assert (await talk(server.port, LAST)).startswith(b"HTTP/1.1 200")

    run(scene())


def test_shutdown_lets_a_running_reply_end_and_cuts_what_does_not(run: Run) -> None:
    async def scene() -> None:
        class Slow(RelayApp):
            async def handle(self, exchange: object) -> None:
                await asyncio.sleep(0.1 if exchange.path == "/v1/a" else 60)  # type: ignore[attr-defined]
                await super().handle(exchange)  # type: ignore[arg-type]

        async with edge(Slow()) as server:
            idle = asyncio.ensure_future(talk(server.port))
            quick = asyncio.ensure_future(talk(server.port, OK))
            slow = asyncio.ensure_future(talk(server.port, LAST))
            await asyncio.sleep(0.05)
            assert server.open_connections == 3
            port = server.port

            assert not await server.close(0.4)

            assert await idle == b""
            assert b"connection: close" in await quick
            assert await slow in (b"", b"reset")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    run(scene())
