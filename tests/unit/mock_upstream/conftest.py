"""A made-up upstream of its own for each test, on its own loop in a thread, with what tests ask of it over a socket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tuckshop.mock_upstream.options import MockOptions
from tuckshop.mock_upstream.server import MockServer, start
from tuckshop.mock_upstream.upstream import MockUpstream


class Raw:
    """A bare connection, for what no client library would show."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    def send(self, method: str, path: str, body: object = None, *headers: str) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "host: x", "authorization: Bearer sk-any", *headers]
        lines += [f"content-length: {len(content)}", "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + content)

    def chat(self, prompt: str, **more: object) -> None:
        """A chat request that says *prompt*."""
        messages = [{"role": "user", "content": prompt}]
        self.send(
            "POST", "/v1/chat/completions", {"model": "gpt-4o-mini", "messages": messages} | more
        )

    def read_until(self, end: bytes) -> bytes:
        """Everything up to and with *end*."""
        data = b""
        while end not in data:
            piece = self.socket.recv(65536)
            assert piece, f"the connection ended before {end!r}: {data!r}"
            data += piece
        return data

    def read_until_silent(self, for_s: float) -> bytes:
        """Everything that comes until nothing does for so long, the connection staying open."""
        self.socket.settimeout(for_s)
        data = b""
        try:
            while piece := self.socket.recv(65536):
                data += piece
        except TimeoutError:
            self.socket.settimeout(10)
            return data
        raise AssertionError(f"the connection ended: {data!r}")

    def read_all(self) -> bytes:
        """Everything until the connection is closed. A reset raises ConnectionResetError, and `seen` holds the rest."""
        self.seen = b""
        while piece := self.socket.recv(65536):
            self.seen += piece
        return self.seen

    def close(self) -> None:
        self.socket.close()


class Mock:
    """A made-up upstream that runs."""

    def __init__(self, options: MockOptions) -> None:
        self.options = options
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: MockServer = self._wait(start(options=options))
        self._raws: list[Raw] = []
        self.port, self.url = self._server.port, self._server.url

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    @property
    def upstream(self) -> MockUpstream:
        return self._server.upstream

    def raw(self) -> Raw:
        self._raws.append(Raw(self.port))
        return self._raws[-1]

    def control(self, method: str, call: str) -> dict[str, Any]:
        """The answer of the side door."""
        raw = self.raw()
        raw.send(method, f"/_mock/{call}", None, "connection: close")
        answer: dict[str, Any] = json.loads(raw.read_all().partition(b"\r\n\r\n")[2])
        raw.close()
        return answer

    def state(self) -> dict[str, Any]:
        return self.control("GET", "state")

    def bill(self) -> list[dict[str, Any]]:
        """The lines of the bill."""
        assert self.options.bill is not None
        return [json.loads(line) for line in self.options.bill.read_bytes().splitlines()]

    def close(self) -> None:
        for raw in self._raws:
            raw.close()
        self._wait(self._server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def start_mock(tmp_path: Path) -> Iterator[Callable[..., Mock]]:
    """Starts made-up upstreams, each with a bill and a record, and stops them."""
    running: list[Mock] = []

    def begin(**options: Any) -> Mock:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        files = {"bill": folder / "bill.jsonl", "record": folder / "record.jsonl"}
        running.append(Mock(MockOptions(**(files | options))))
        return running[-1]

    yield begin
    for mock in running:
        mock.close()


@pytest.fixture
def mock(start_mock: Callable[..., Mock]) -> Mock:
    """One with nothing special about it."""
    return start_mock()
