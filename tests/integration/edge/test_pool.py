"""The pool against a scripted upstream: every way a call can go, and connections that never mix answers."""

from __future__ import annotations

import asyncio
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.edge.support import LOOPS, Reply, Run, Upstream, fetch, response, upstream
from tuckshop.upstreams.limits import UpstreamLimits
from tuckshop.upstreams.pool import UpstreamPool
from tuckshop.upstreams.tls import client_context

pytestmark = pytest.mark.parametrize("run", LOOPS)


def pool_for(server: Upstream, **limits: Any) -> UpstreamPool:
    return UpstreamPool(f"http://127.0.0.1:{server.port}/v1", None, UpstreamLimits(**limits))


def test_a_connection_is_used_again_and_the_request_is_exact(run: Run) -> None:
    async def scene() -> None:
        async with upstream() as server:
            server.says("/v1/a", response(b"one", b"X-Request-Id: 7"))
            pool = pool_for(server)

            first = await fetch(pool, "/a?b=c", b"body")
            second = await fetch(pool, "/a", method="GET")

            assert (first.status, first.body) == (200, b"one")
            assert (b"x-request-id", b"7") in first.headers
            assert second.body == b"one"
            assert server.connections == 1
            assert (pool.open_connections, pool.idle_connections) == (1, 1)
            assert server.requests[0] == (
                b"POST /v1/a?b=c HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept-encoding: identity\r\n"
                b"x-id: 1\r\ncontent-length: 4\r\n\r\nbody" % server.port
            )
            assert b"content-length" not in server.requests[1]
            await pool.close()
            assert pool.open_connections == 0

    run(scene())


def test_chunks_interim_replies_and_trailers_are_understood(run: Run) -> None:
    async def scene() -> None:
        async with upstream() as server:
            server.says(
                "/v1/a",
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n",
                b"1;ext=1\r\nc\r\n0\r\nX-Sum: 1\r\n\r\n",
            )
            pool = pool_for(server)

            reply = await fetch(pool, "/a")

            assert reply.pieces == [b"ab", b"c"]  # what came together is told together
            assert reply.headers == [(b"transfer-encoding", b"chunked")]
            assert pool.idle_connections == 1
            await pool.close()

    run(scene())


def test_a_reply_that_ends_with_its_connection_is_complete_and_the_connection_gone(
    run: Run,
) -> None:
    async def scene() -> None:
        async with upstream() as server:
            server.says("/v1/a", b"HTTP/1.0 200 OK\r\n\r\nall of it", close=True)
            pool = pool_for(server)

            reply = await fetch(pool, "/a")

            assert reply.body == b"all of it"
            assert reply.failure is None
            await asyncio.sleep(0.02)
            assert pool.open_connections == 0

    run(scene())


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ((b"",), "reset"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",), "reset"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",), "reset"),
        ((b"SSH-2.0-OpenSSH\r\n",), "protocol"),
        ((b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",), "protocol"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",), "protocol"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",), "protocol"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",), "protocol"),
        ((b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",), "protocol"),
        ((b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300,), "protocol"),
        ((b"HTTP/1.1 200 " + b"x" * 100_000,), "protocol"),
        ((b"HTTP/1.1 100 C\r\n\r\n" * 50,), "protocol"),
        (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
                *[b"x" * 50_000] * 4,
            ),
            "protocol",
        ),
    ],
)
def test_a_broken_reply_fails_and_its_connection_is_closed(
    run: Run, pieces: tuple[bytes, ...], kind: str
) -> None:
    """Section 10: the upstream is untrusted input."""

    async def scene() -> None:
        async with upstream() as server:
            server.says("/v1/a", *pieces, close=True)
            pool = pool_for(server)

            reply = await fetch(pool, "/a")

            assert reply.failure is not None
            assert reply.failure.kind == kind
            assert reply.failure.request_bytes_written
            assert pool.open_connections == 0

    run(scene())


def test_bytes_beyond_a_reply_never_reach_another_call(run: Run) -> None:
    """Section 8: a poisoned connection is closed, within the reply or after it."""

    async def scene() -> None:
        async with upstream() as server:
            server.says("/v1/a", response(b"mine") + response(b"someone else's"))
            server.says("/v1/b", response(b"mine"), response(b"someone else's"))
            server.says("/v1/c", response(b"right"))
            pool = pool_for(server)
            for path in ("/a", "/b"):
                assert (await fetch(pool, path)).body == b"mine"
                await asyncio.sleep(0.05)
                assert pool.open_connections == 0
                assert (await fetch(pool, "/c")).body == b"right"
            await pool.close()

    run(scene())


def test_a_connection_that_the_upstream_closed_is_found_out_before_a_byte_is_written(
    run: Run,
) -> None:
    """M10, M13: no ambiguous failure where the socket can tell."""

    async def scene() -> None:
        async with upstream() as server:
            server.says("/v1/a", response(b"x"))
            pool = pool_for(server)
            for number in range(1, 21):
                assert (await fetch(pool, "/a")).failure is None
                assert server.connections == number
                # Closed without a turn of this loop in between, so that only the socket knows.
                server.hang_up()
            await pool.close()

    run(scene())


def test_an_idle_connection_is_not_used_past_its_time(run: Run) -> None:
    async def scene() -> None:
        async with upstream() as server:
            server.says("/v1/a", response(b"x", b"Keep-Alive: timeout=1, max=9"))
            server.says("/v1/b", response(b"x"))
            pool = pool_for(server, idle_timeout_s=0.05)
            await fetch(pool, "/a")
            await fetch(pool, "/a")  # it said 1 s: too short to be sure
            assert server.connections == 2
            await fetch(pool, "/b")
            await asyncio.sleep(0.1)
            await fetch(pool, "/b")
            assert server.connections == 4
            await asyncio.sleep(1.2)
            assert pool.open_connections == 0  # the sweep has been here

    run(scene())


def test_a_refused_connection_proves_that_nothing_was_sent(run: Run) -> None:
    """M10."""

    async def scene() -> None:
        async with upstream() as server:
            pool = pool_for(server)
        reply = await fetch(pool, "/a")

        assert reply.failure is not None
        assert reply.failure.kind == "refused"
        assert not reply.failure.request_bytes_written
        await asyncio.sleep(0)
        assert pool.dialling == 0

    run(scene())


def test_a_name_that_cannot_be_is_a_dns_failure(run: Run) -> None:
    async def scene() -> None:
        pool = UpstreamPool("http://" + "a" * 64 + ".test")

        reply = await fetch(pool, "/a")

        assert reply.failure is not None
        assert (reply.failure.kind, reply.failure.request_bytes_written) == ("dns", False)

    run(scene())


def test_tls_is_verified(run: Run, tmp_path: Path) -> None:
    """Section 10: plain HTTP behind https, and a certificate nobody vouches for."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )

    async def scene() -> None:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(response(b"secret"))
            except (asyncio.IncompleteReadError, OSError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        trusting = UpstreamPool(f"https://localhost:{port}", client_context(certificate))
        for _ in range(3):
            assert (await fetch(trusting, "/a", method="GET")).body == b"secret"
        await trusting.close()

        for base_url, tls in (
            (f"https://localhost:{port}", None),
            (f"https://127.0.0.1:{port}", client_context(certificate)),  # another name
        ):
            failure = (await fetch(UpstreamPool(base_url, tls), "/a")).failure
            assert failure is not None
            assert (failure.kind, failure.request_bytes_written) == ("tls", False)
        server.close()
        async with upstream() as plain:
            plain.says("/a", b"")
            impatient = UpstreamLimits(connect_timeout_s=0.2)
            pool = UpstreamPool(f"https://127.0.0.1:{plain.port}", None, impatient)
            failure = (await fetch(pool, "/a")).failure
            assert failure is not None
            assert not failure.request_bytes_written

    run(scene())


def test_a_handshake_that_hangs_meets_the_connect_deadline(run: Run) -> None:
    async def scene() -> None:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        pool = UpstreamPool(
            f"https://127.0.0.1:{port}", None, UpstreamLimits(connect_timeout_s=0.1)
        )

        failure = (await fetch(pool, "/a")).failure

        assert failure is not None
        assert (failure.kind, failure.request_bytes_written) == ("connect_timeout", False)
        server.close()
        await asyncio.sleep(0.02)

    run(scene())


def test_slowness_is_told_and_the_call_goes_on(run: Run) -> None:
    """Section 5: our own deadline passed, the connection alive: its usage can still be read."""

    async def scene() -> None:
        async def slow_head(_: Any, __: Any, ___: Any, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.15)
            writer.write(response(b"late"))

        async def gap(_: Any, __: Any, ___: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
            await asyncio.sleep(0.15)
            writer.write(b"b")

        async with upstream() as server:
            server.scripts |= {b"/v1/head": slow_head, b"/v1/gap": gap}
            pool = pool_for(server, first_byte_timeout_s=0.05, gap_timeout_s=0.05)

            late = await fetch(pool, "/head")
            gapped = await fetch(pool, "/gap")
            patient = await fetch(pool, "/gap", gap_timeout_s=1.0)

            assert (late.timeouts, late.body) == (["first_byte_timeout"], b"late")
            assert (gapped.timeouts, gapped.body) == (["gap_timeout"], b"ab")
            assert (patient.timeouts, patient.body) == ([], b"ab")
            assert pool.idle_connections == 1
            await pool.close()

    run(scene())


def test_the_whole_call_has_a_deadline_that_can_be_brought_forward(run: Run) -> None:
    async def scene() -> None:
        async def drip(_: Any, __: Any, ___: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
            for _i in range(100):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)

        async with upstream() as server:
            server.scripts[b"/v1/a"] = drip
            pool = pool_for(server, request_timeout_s=0.1)
            reply = await fetch(pool, "/a")
            assert reply.failure is not None
            assert reply.failure.kind == "deadline"

            pool = pool_for(server)
            reply = Reply()
            pool.open("POST", "/a", [], b"", reply).end_within(0.1)
            async with asyncio.timeout(5):
                await reply.over.wait()
            assert reply.failure is not None
            assert (reply.failure.kind, pool.open_connections) == ("deadline", 0)

    run(scene())


def test_a_paused_reply_is_not_read_and_does_not_run_into_the_gap(run: Run) -> None:
    """E6."""

    async def scene() -> None:
        sent = 0

        async def flood(_: Any, __: Any, ___: Any, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
            for _i in range(1000):
                writer.write(b"x" * 50_000)
                await writer.drain()
                sent += 50_000

        async with upstream() as server:
            server.scripts[b"/v1/a"] = flood
            pool = pool_for(server, gap_timeout_s=0.1)
            reply = Reply()
            exchange = pool.open("POST", "/a", [], b"", reply)
            await reply.began.wait()
            exchange.pause()
            await asyncio.sleep(0.3)
            assert sent < 20_000_000  # what fits into the kernel's buffers
            exchange.resume()
            async with asyncio.timeout(10):
                await reply.over.wait()

            assert len(reply.body) == 50_000_000
            assert reply.timeouts == []
            await pool.close()

    run(scene())


def test_a_reply_before_the_request_was_read_does_not_leave_the_rest_behind(run: Run) -> None:
    async def scene() -> None:
        async with upstream() as server:
            server.says("/early", response(b"no", status=b"413 Too Large"))
            pool = UpstreamPool(f"http://127.0.0.1:{server.port}")

            reply = await fetch(pool, "/early", b"x" * 30_000_000)

            assert reply.failure is not None or reply.status == 413
            assert pool.open_connections == 0

    run(scene())


def test_an_unasked_for_content_coding_is_told(run: Run) -> None:
    async def scene() -> None:
        async with upstream() as server:
            server.says("/v1/a", response(b"x", b"Content-Encoding: gzip"))
            pool = pool_for(server)
            reply = Reply()
            exchange = pool.open("POST", "/a", [], b"", reply)
            await reply.over.wait()

            assert exchange.content_coding == b"gzip"
            await pool.close()

    run(scene())


def test_after_thousands_of_cancels_the_pool_is_back_to_baseline(run: Run) -> None:
    """Section 8: cancelled at any moment, and no answer crosses to another call."""

    async def scene() -> None:
        async def echo(_: bytes, body: bytes, __: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            await asyncio.sleep(random.random() * 0.02)
            writer.write(body)

        rng = random.Random(7)
        crossed = complete = 0

        async def one(pool: UpstreamPool, number: int) -> None:
            nonlocal crossed, complete
            reply = Reply()
            mine = b"%d" % number
            exchange = pool.open("POST", "/a", [], mine, reply)
            if number % 4:
                await asyncio.sleep(rng.random() * 0.1)
                exchange.abort()
            else:
                await reply.over.wait()  # so that some are complete on a machine of any speed
            if reply.body not in (b"", mine):
                crossed += 1
            complete += reply.body == mine

        async with upstream() as server:
            server.scripts[b"/v1/a"] = echo
            pool = pool_for(server)
            for start in range(0, 2_000, 100):
                await asyncio.gather(*(one(pool, start + i) for i in range(100)))
            await asyncio.sleep(0.05)

            assert crossed == 0
            assert 500 <= complete < 1_900  # both happened, and often
            assert pool.open_connections == pool.idle_connections
            assert pool.dialling == 0
            for number in range(50):
                assert (await fetch(pool, "/a", b"%d" % number)).body == b"%d" % number
            await pool.close()
            assert pool.open_connections == 0

    run(scene())


def test_what_cannot_stand_in_a_request_is_a_mistake(run: Run) -> None:
    async def scene() -> None:
        pool = UpstreamPool("http://127.0.0.1:1")
        for method, path, field in (
            ("GET", "/a b", (b"x", b"y")),
            ("GET", "a", (b"x", b"y")),
            ("GET", "/a\r\nx: y", (b"x", b"y")),
            ("HEAD", "/a", (b"x", b"y")),
            ("GET", "/a", (b"x", b"y\r\nhost: z")),
            ("GET", "/a", (b"host", b"z")),
            ("GET", "/a", (b"content-length", b"3")),
        ):
            with pytest.raises(ValueError, match=r"cannot be sent|line break|pool sets"):
                pool.open(method, path, [field], b"", Reply())

    run(scene())
