"""Edge and pool together: a slow reader slows its own stream only, and cancels leave nothing behind (E6, section 8)."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.integration.edge.support import LOOPS, RelayApp, Run, edge, talk, upstream
from tuckshop.edge.limits import EdgeLimits
from tuckshop.upstreams.limits import UpstreamLimits
from tuckshop.upstreams.pool import UpstreamPool

pytestmark = pytest.mark.parametrize("run", LOOPS)

TOTAL = 60_000_000
GET = b"GET /flood HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_a_slow_reader_holds_its_source_back(run: Run) -> None:
    """E6: memory stays bounded, others are served meanwhile, and nothing is lost or turned round."""

    async def scene() -> None:
        sent = 0

        async def flood(_: Any, __: Any, ___: Any, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL)
            for number in range(TOTAL // 60_000):
                writer.write(b"%06d" % number * 10_000)
                await writer.drain()
                sent += 60_000

        async with upstream() as server:
            server.scripts[b"/flood"] = flood
            server.says("/quick", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            pool = UpstreamPool(f"http://127.0.0.1:{server.port}")
            async with edge(RelayApp(pool)) as shop:
                reader, writer = await asyncio.open_connection("127.0.0.1", shop.port, limit=2**16)
                writer.write(GET)
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(0.3)
                assert sent < TOTAL / 2  # kernel buffers, and 64 KiB of ours
                quick = await talk(shop.port, GET.replace(b"flood", b"quick"))
                assert b"hi" in quick

                rest = await reader.read()
                assert rest.endswith(b"0\r\n\r\n")
                # A few stand across two chunks.
                assert rest.count(b"%06d" % (TOTAL // 60_000 - 1)) >= 9_990
                writer.close()
            await pool.close()

    run(scene())


def test_a_reader_that_stalls_is_cut_and_its_upstream_too(run: Run) -> None:
    """E1."""

    async def scene() -> None:
        async def flood(_: Any, __: Any, ___: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 60_000)
                await writer.drain()

        async with upstream() as server:
            server.scripts[b"/flood"] = flood
            pool = UpstreamPool(f"http://127.0.0.1:{server.port}")
            async with edge(RelayApp(pool), EdgeLimits(stall_timeout_s=0.2)) as shop:
                _, writer = await asyncio.open_connection("127.0.0.1", shop.port, limit=1)
                writer.write(GET)
                await asyncio.sleep(0.2)
                assert shop.in_flight == 1
                await asyncio.sleep(0.6)
                assert shop.in_flight == 0
                assert shop.open_connections == 0
                assert pool.open_connections == 0
                writer.transport.abort()

    run(scene())


def test_events_arrive_one_by_one_as_they_are_made(run: Run) -> None:
    async def scene() -> None:
        more = asyncio.Event()

        async def events(_: Any, __: Any, ___: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in range(5):
                await more.wait()
                more.clear()
                writer.write(b"9\r\ndata: %d\n\n\r\n" % number)
            writer.write(b"0\r\n\r\n")

        async with upstream() as server:
            server.scripts[b"/flood"] = events
            pool = UpstreamPool(f"http://127.0.0.1:{server.port}")
            async with edge(RelayApp(pool)) as shop, asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
                writer.write(GET)
                await reader.readuntil(b"\r\n\r\n")  # the head comes before any event is made
                for number in range(5):
                    more.set()
                    assert await reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: %d\n\n\r\n" % number
                assert await reader.read() == b"0\r\n\r\n"
                writer.close()
            await pool.close()

    run(scene())


def test_two_thousand_random_cancels_leave_nothing_behind(run: Run) -> None:
    """Section 8: clients leave at any moment; pool and edge are back to baseline, answers match their requests."""

    async def scene() -> None:
        rng = random.Random(11)
        answered = 0

        async def echo(_: bytes, body: bytes, __: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            await asyncio.sleep(rng.random() * 0.02)
            writer.write(body)

        async def client(port: int, number: int) -> None:
            nonlocal answered
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = b"<%d>" % number
            request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
            writer.write(request + body)
            try:
                # Some are patient, so that on a busy machine answers are looked at too.
                async with asyncio.timeout(10 if number % 10 == 0 else rng.random() * 0.1):
                    said = await reader.readuntil(b"\r\n0\r\n\r\n")
            except TimeoutError:
                pass
            else:
                answered += 1
                assert said.split(b"\r\n")[-4] == body
            if number % 2:
                writer.transport.abort()
            else:
                writer.close()

        async with upstream() as server:
            server.scripts[b"/echo"] = echo
            pool = UpstreamPool(f"http://127.0.0.1:{server.port}")
            async with edge(RelayApp(pool)) as shop:
                for start in range(0, 2_000, 100):
                    await asyncio.gather(*(client(shop.port, start + i) for i in range(100)))
                await asyncio.sleep(0.1)
                assert 50 < answered < 1_950
                assert (shop.in_flight, shop.open_connections, shop.buffered_bytes) == (0, 0, 0)
                assert pool.open_connections == pool.idle_connections
                assert pool.dialling == 0
                said = await talk(shop.port, GET.replace(b"flood", b"echo"))
                assert said.startswith(b"HTTP/1.1 200")
            await pool.close()

    run(scene())


def test_an_upstream_that_breaks_off_leaves_a_reply_that_is_seen_to_be_incomplete(
    run: Run,
) -> None:
    async def scene() -> None:
        async with upstream() as server:
            server.says("/flood", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", close=True)
            limits = UpstreamLimits(idle_timeout_s=0.1)
            pool = UpstreamPool(f"http://127.0.0.1:{server.port}", None, limits)
            async with edge(RelayApp(pool)) as shop:
                said = await talk(shop.port, GET)
                assert not said.endswith(b"0\r\n\r\n")

    run(scene())
