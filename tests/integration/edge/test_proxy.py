"""The way out through an HTTP proxy: tunnels for both schemes, and no byte of a request where there is none (M10)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.edge.support import LOOPS, Run, fetch, response, upstream
from tests.support.certificates import self_signed
from tuckshop.upstreams.limits import UpstreamLimits
from tuckshop.upstreams.pool import UpstreamPool
from tuckshop.upstreams.proxy import parse_proxy
from tuckshop.upstreams.tls import client_context

pytestmark = pytest.mark.parametrize("run", LOOPS)
LOGIN = "Basic dXNlcjpwQHNzOncvcmQ="  # user, p@ss:w/rd


class Proxy:
    """Opens tunnels to this machine, whatever the name, or answers what it is told to."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            if self.answer is not None:
                writer.write(self.answer)
                if self.answer:
                    await reader.read()
                return
            port = int(head.split()[1].rpartition(":")[2])
            there, back = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        except (asyncio.IncompleteReadError, OSError):
            pass  # one side has gone
        finally:
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def proxy(answer: bytes | None = None) -> AsyncIterator[Proxy]:
    made = Proxy(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await asyncio.sleep(0.02)


def through(
    made: Proxy, base_url: str, tls: ssl.SSLContext | None = None, **limits: Any
) -> UpstreamPool:
    named = parse_proxy(f"http://user:p%40ss%3Aw%2Frd@127.0.0.1:{made.port}")
    return UpstreamPool(base_url, tls, UpstreamLimits(**limits), named)


def test_a_call_goes_through_a_tunnel_that_is_kept(run: Run) -> None:
    async def scene() -> None:
        async with upstream() as server, proxy() as made:
            server.says("/v1/a", response(b"one"))
            pool = through(made, f"http://no.such.name.invalid:{server.port}/v1")

            replies = [await fetch(pool, "/a") for _ in range(3)]

            assert [reply.body for reply in replies] == [b"one"] * 3
            assert server.connections == 1
            [head] = made.asked
            target = f"no.such.name.invalid:{server.port}"
            assert head.startswith(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n")
            assert f"proxy-authorization: {LOGIN}\r\n" in head
            assert b"proxy-authorization" not in b"".join(server.requests)
            await pool.close()

    run(scene())


def test_tls_is_spoken_with_the_upstream_and_its_name_is_checked(run: Run, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "upstream.test")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(response(b"secret"))
            await reader.read()
        except (asyncio.IncompleteReadError, OSError):
            pass  # it did not like the certificate
        finally:
            writer.close()

    async def scene() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with proxy() as made:
            trusting = client_context(certificate)
            good = through(made, f"https://upstream.test:{port}", trusting)
            other_name = through(made, f"https://other.test:{port}", trusting)
            without_ca = through(made, f"https://upstream.test:{port}", client_context())

            assert (await fetch(good, "/a")).body == b"secret"
            for pool in (other_name, without_ca):
                failure = (await fetch(pool, "/a")).failure
                assert failure is not None
                assert (failure.kind, failure.request_bytes_written) == ("tls", False)
            for pool in (good, other_name, without_ca):
                await pool.close()
        server.close()

    run(scene())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "password"),
        (b"HTTP/1.0 503 No\r\n\r\nsorry", "503"),
        (
            b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nmine!",
            "nobody asked",
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "as HTTP"),
        (b"x" * 20_000, "as HTTP"),
        (b"", "as HTTP"),
    ],
)
def test_without_a_tunnel_nothing_is_sent_and_the_reason_is_logged(
    run: Run, answer: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """M10; and no credential stands in a log."""

    async def scene() -> None:
        async with upstream() as server, proxy(answer) as made:
            pool = through(made, f"http://127.0.0.1:{server.port}")

            failure = (await fetch(pool, "/a")).failure
            await fetch(pool, "/a")

            assert failure is not None
            assert (failure.kind, failure.request_bytes_written) == ("refused", False)
            assert said in failure.detail
            assert server.connections == 0
            assert said in caplog.text
            assert caplog.text.count("cannot be reached") == 1  # once a second, not once a call
            for secret in ("p@ss", LOGIN, "p%40ss"):
                assert secret not in caplog.text + failure.detail + repr(pool.__dict__)
            await pool.close()

    run(scene())


def test_a_proxy_that_hangs_is_within_the_time_for_connecting(run: Run) -> None:
    async def scene() -> None:
        async with proxy(b"HTTP/1.1 200") as made:
            pool = through(made, "http://127.0.0.1:9", connect_timeout_s=0.1)

            failure = (await fetch(pool, "/a")).failure

            assert failure is not None
            assert (failure.kind, failure.request_bytes_written) == ("connect_timeout", False)

    run(scene())


def test_the_environments_proxies_are_ignored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def scene() -> None:
        async with upstream() as server:
            server.says("/a", response(b"straight"))
            pool = UpstreamPool(f"http://127.0.0.1:{server.port}")

            assert (await fetch(pool, "/a")).body == b"straight"
            await pool.close()

    run(scene())
