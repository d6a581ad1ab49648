"""Starts and stops the made-up provider: inside a test's loop, or as a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import signal
import sys
from pathlib import Path
from typing import Any

from tuckshop.mock_upstream.connection import Connection
from tuckshop.mock_upstream.options import MockOptions
from tuckshop.mock_upstream.upstream import MockUpstream


class MockServer:
    """A made-up provider that listens."""

    def __init__(self, server: asyncio.Server, upstream: MockUpstream) -> None:
        self.upstream = upstream
        self._server = server
        self.host, self.port = server.sockets[0].getsockname()[:2]

    @property
    def url(self) -> str:
        """Its base URL, for `OPENAI_BASE_URL`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/v1"

    async def close(self) -> None:
        """Stop listening, drop every client, and write no more."""
        self._server.close()
        connections = tuple(self.upstream.state.connections)
        for connection in connections:
            connection.transport.abort()
        for connection in connections:
            await connection.lost.wait()
        for running in tuple(self.upstream.state.running.values()):
            running.delivery.stop()
        await self._server.wait_closed()
        self.upstream.close()


async def start(
    host: str = "127.0.0.1", port: int = 0, *, options: MockOptions | None = None
) -> MockServer:
    """A made-up provider on *host* and *port* (0: any free one), on the running loop."""
    upstream = MockUpstream(options or MockOptions())
    numbers = itertools.count(1)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(upstream, next(numbers)), host, port, backlog=1024
    )
    return MockServer(server, upstream)


def run(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    bill: Path | None = None,
    record: Path | None = None,
    credential: str | None = None,
    tokens_per_second: float | None = None,
    first_token_ms: float = 0.0,
    run_ahead_tokens: int = 32,
    after_leave_tokens: int = 16,
) -> None:
    """Serve until SIGTERM or SIGINT. The first line on standard output tells the address."""
    options = MockOptions(
        credential=credential,
        bill=bill,
        record=record,
        tokens_per_second=tokens_per_second,
        first_token_ms=first_token_ms,
        run_ahead_tokens=run_ahead_tokens,
        after_leave_tokens=after_leave_tokens,
    )
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(host, port, options))


async def _serve(host: str, port: int, options: MockOptions) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = await start(host, port, options=options)
    sys.stdout.write(f"listening on {server.url}\n")
    sys.stdout.flush()
    await ended.wait()
    await server.close()


def _loop_factory() -> Any:
    """uvloop's, where it is installed."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop
