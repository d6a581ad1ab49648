"""
A load at a fixed rate, run as a process: each call is due at its instant, whether the ones before were answered or not.

A reply's time counts from the instant when its call was due. So a server that stalls is charged for every call that it
kept waiting, those not yet sent included: leaving them out is the mistake called coordinated omission.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import random
import selectors
import signal
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import httptools

CONNECTIONS_MAX: Final = 900  # `select` takes files below 1,024, and it alone sleeps to the µs
GRACE_S: Final = 30.0  # for the last replies
WARM_S: Final = 1.0  # its calls are made and not counted
BODY: Final = json.dumps({
    "model": "gpt-4o-mini", "max_tokens": 32,
    "messages": [{"role": "user", "content": "[[tokens:16]] Say hello."}],
}).encode()  # fmt: skip


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that *share* of *ordered*, a sorted sequence, does not pass (nearest rank)."""
    if not ordered:
        raise ValueError("a percentile of nothing")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Connection(asyncio.Protocol):
    """One kept connection: a call at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._due_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        due_s, self._due_s = self._due_s, None
        assert due_s is not None
        self._load.answered(self, due_s, is_good=self._parser.get_status_code() == 200)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self, self._due_s)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def send(self, call: bytes, due_s: float) -> None:
        """Make a call that was due at *due_s*."""
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._due_s = due_s
        self._transport.write(call)


class Load:
    """The calls, their instants, and how long each took."""

    def __init__(self, url: str, keys: Sequence[str], headers: Sequence[str], rate: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._heads = [self._call(parts.path, parts.netloc, key, headers) for key in keys]
        self._rate = rate
        self._idle: list[Connection] = []
        self._open = 0
        self._waiting: deque[float] = deque()  # instants of calls for which there is no connection
        self._loop = asyncio.get_running_loop()
        self._began_s = 0.0
        self._sent = self._ended = 0
        self._until_s = 0.0
        self._dialling: set[asyncio.Task[None]] = set()
        self.over = asyncio.Event()
        self.times_ms: list[float] = []
        self.failed = 0

    @staticmethod
    def _call(path: str, host: str, key: str, headers: Sequence[str]) -> bytes:
        fields = (
            f"host: {host}", f"authorization: Bearer {key}", "content-type: application/json",
            f"content-length: {len(BODY)}", *headers,
        )  # fmt: skip
        head = f"POST {path}/chat/completions HTTP/1.1\r\n" + "".join(f"{f}\r\n" for f in fields)
        return f"{head}\r\n".encode() + BODY

    async def run(self, seconds: float) -> None:
        """Keep the rate for so long, or until `stop`; returns with the last reply."""
        self._began_s = self._loop.time() + 0.1
        self._until_s = self._began_s + WARM_S + seconds
        self._loop.call_at(self._began_s, self._fire)
        self._loop.call_at(self._began_s + WARM_S, partial(print, "warm", flush=True))
        await asyncio.wait_for(self.over.wait(), WARM_S + seconds + GRACE_S)

    def stop(self) -> None:
        """Make no further calls."""
        self._until_s = self._loop.time()

    def close(self) -> None:
        """Let go of the connections."""
        for connection in self._idle:
            connection.close()

    def _fire(self) -> None:
        now_s = self._loop.time()
        while (due_s := self._began_s + self._sent / self._rate) <= now_s and due_s < self._until_s:
            self._sent += 1
            self._start(due_s)
        if due_s < self._until_s:
            self._loop.call_at(due_s, self._fire)
        else:
            self._see_end()

    def _start(self, due_s: float) -> None:
        if self._idle:
            self._idle.pop().send(random.choice(self._heads), due_s)
            return
        self._waiting.append(due_s)
        if self._open < CONNECTIONS_MAX:
            self._open += 1
            task = self._loop.create_task(self._dial())
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)

    async def _dial(self) -> None:
        try:
            _, connection = await self._loop.create_connection(
                partial(Connection, self), self._host, self._port
            )
        except OSError:
            self._open -= 1
            if self._waiting:
                self._waiting.popleft()
                self._end(failed=True)
            return
        self._rest(connection)

    def answered(self, connection: Connection, due_s: float, *, is_good: bool) -> None:
        """A reply is whole."""
        if due_s >= self._began_s + WARM_S and is_good:
            self.times_ms.append((self._loop.time() - due_s) * 1e3)
        self._end(failed=not is_good)
        self._rest(connection)

    def lost(self, connection: Connection, due_s: float | None) -> None:
        """A connection ended."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if due_s is not None:
            self._end(failed=True)

    def _rest(self, connection: Connection) -> None:
        if self._waiting:
            connection.send(random.choice(self._heads), self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _end(self, *, failed: bool) -> None:
        self._ended += 1
        self.failed += failed
        self._see_end()

    def _see_end(self) -> None:
        due_s = self._began_s + self._sent / self._rate
        if self._ended == self._sent and due_s >= self._until_s:
            self.over.set()


async def _run(options: argparse.Namespace, keys: Sequence[str]) -> dict[str, float]:
    load = Load(options.url, keys, options.header, options.rate)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.stop)
    await load.run(options.seconds)
    times = sorted(load.times_ms)
    return {
        "calls": len(times),
        "failed": load.failed,
        "p50_ms": percentile(times, 0.5),
        "p99_ms": percentile(times, 0.99),
    }


def main() -> None:
    """Run as a command; prints `warm` when it begins to count, and JSON at the end. SIGTERM ends the load only."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("keys", help="a file with one key per line")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    with open(options.keys, encoding="ascii") as file:
        keys = file.read().split()
    gc.disable()  # a pause of ours must not look like one of theirs
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        print(json.dumps(runner.run(_run(options, keys))))


if __name__ == "__main__":
    main()
