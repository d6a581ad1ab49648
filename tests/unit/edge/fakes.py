"""A transport and a loop in memory, so that a connection can be driven byte by byte and second by second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from tuckshop.domain.errors import RefusalError
from tuckshop.edge.app import App, HeadVerdict
from tuckshop.edge.connection import Connection
from tuckshop.edge.exchange import Exchange
from tuckshop.edge.floor import Floor
from tuckshop.edge.forwarded import TrustedProxies
from tuckshop.edge.head import Headers, RequestHead
from tuckshop.edge.limits import EdgeLimits


class FakeTransport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.sent = b""
        self.is_open = True
        self.was_aborted = False
        self.eof_written = False
        self.reading = True
        self.unsent = 0

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.is_open = False

    def abort(self) -> None:
        self.is_open = False
        self.was_aborted = True

    def write_eof(self) -> None:
        self.eof_written = True

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 1) if name == "peername" else None


class FakeTimer:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at, self.callback, self.cancelled = at, callback, False

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """Time moves by `pass_time` only. Counts timers, because ordinary requests must not need any."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[FakeTimer] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, callback: Callable[[], None]) -> FakeTimer:
        self.made += 1
        timer = FakeTimer(at, callback)
        self.timers.append(timer)
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.call_at(self.now, callback)
        self.made -= 1

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [t for t in self.timers if t.at <= end and not t.cancelled]:
            timer = min(due, key=lambda t: t.at)
            self.timers.remove(timer)
            self.now = max(self.now, timer.at)
            timer.callback()
        self.now = end


class FixedClock:
    def now_us(self) -> int:
        return 1_790_000_000_000_000

    def monotonic_s(self) -> float:
        return 0.0

    def boot_s(self) -> float:
        return 0.0


class RecordingApp:
    """Keeps exchanges; answers at once unless told to hold."""

    def __init__(self, *, max_body: int = 1_000, hold: bool = False) -> None:
        self.max_body = max_body
        self.hold = hold
        self.seen: list[tuple[str, str, str, Headers, bytes]] = []
        self.exchanges: list[Exchange] = []
        self.refused: list[tuple[str, str]] = []
        self.refusal: RefusalError | None = None

    def admit_head(self, head: RequestHead) -> HeadVerdict:
        return HeadVerdict(self.max_body, self.refusal, context="context")

    def handle(self, exchange: Exchange) -> None:
        self.seen.append(
            (exchange.method, exchange.path, exchange.query, exchange.headers, exchange.body)
        )
        self.exchanges.append(exchange)
        if not self.hold:
            exchange.reply(200, [(b"content-type", b"text/plain")], exchange.body)

    def refuse(self, error: RefusalError, head: RequestHead | None) -> tuple[int, Headers, bytes]:
        self.refused.append((error.code, head.path if head else ""))
        return error.status, [(b"x-code", error.code.encode())], b"refused"


class Wire:
    """A connection on a fake transport and loop."""

    def __init__(
        self,
        app: RecordingApp | None = None,
        limits: EdgeLimits | None = None,
        *,
        trusted: TrustedProxies | None = None,
        in_front: Callable[[App], App] = lambda app: app,
    ) -> None:
        self.app = app or RecordingApp()
        self.loop = FakeLoop()
        self.floor = Floor(
            in_front(self.app),
            cast(Any, None),
            (),
            limits or EdgeLimits(),
            FixedClock(),
            cast(asyncio.AbstractEventLoop, self.loop),
            trusted_proxies=trusted,
        )
        self.transport = FakeTransport()
        self.connection = Connection(self.floor)
        self.connection.connection_made(cast(asyncio.Transport, self.transport))

    def feed(self, data: bytes, cut: int | None = None) -> None:
        for start in range(0, len(data), cut or max(1, len(data))):
            self.connection.data_received(data[start : start + (cut or len(data))])

    def leave(self) -> None:
        self.connection.eof_received()
        self.connection.connection_lost(None)

    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in self.transport.sent.split(b"HTTP/1.1 ")[1:]]
