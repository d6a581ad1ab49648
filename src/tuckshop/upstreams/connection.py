"""
One connection to an upstream: a request out, its reply in, then idle until the pool uses it again or drops it.

What an upstream sends is untrusted input. A reply that is interrupted, malformed, longer than it says, or answered
before the request was sent whole closes its connection, and so does anything that comes unasked: a reply can never
reach someone else (section 8). Within one read, chunks are put together, so that a piece costs one call.

One read brings up to a quarter of a megabyte, which as events of two bytes is a quarter of a second's work. So what is
more than a turn's worth is taken in turns of the loop, and nothing more is read meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import select
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import httptools

from tuckshop.upstreams.exchange import Headers, UpstreamExchange
from tuckshop.upstreams.failure import FailureKind, UpstreamFailure
from tuckshop.upstreams.reply_fields import MalformedReplyError, reply_fields

if TYPE_CHECKING:
    from tuckshop.upstreams.pool import UpstreamPool

_END_OF_HEAD: Final = b"\r\n\r\n"
TURN_BYTES: Final = 16_384  # taken in one turn of the loop
_KEEP_ALIVE: Final = re.compile(rb"timeout\s*=\s*\"?([0-9]{1,6})", re.I)


class UpstreamConnection(asyncio.Protocol):
    """The protocol of a connection that a pool has made."""

    __slots__ = (
        "_ahead",
        "_complete",
        "_exchange",
        "_head_bytes",
        "_head_complete",
        "_headers",
        "_interim",
        "_is_delimited",
        "_is_interim",
        "_keeps_alive",
        "_last_at",
        "_later",
        "_parser",
        "_pieces",
        "_poll",
        "_pool",
        "_reading_paused",
        "_silent_bytes",
        "_status",
        "_surplus",
        "_timer",
        "_turn_comes",
        "_unread",
        "idle_since",
        "idle_timeout_s",
        "is_closed",
        "on_body",
        "served",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, pool: UpstreamPool) -> None:
        self._pool = pool
        self._pieces: list[bytes] = []  # of the body, brought by the read at hand
        self.on_body = (
            self._pieces.append
        )  # called by the parser, which looks for its callbacks only once
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: UpstreamExchange | None = None
        self._ahead = bytearray()  # what was read before its turn
        self._later: list[Callable[[], object]] = []  # what the transport told after that
        self._turn_comes = False
        self._headers: Headers = []
        self._unread = b""  # until the head is complete: what came and is not yet part of a field
        self._head_bytes = 0
        self._silent_bytes = 0
        self._interim = 0
        self._status = 0
        self._is_interim = False
        self._head_complete = False
        self._is_delimited = False  # by a length or by chunks, not by the end of the connection
        self._complete = False
        self._surplus = False
        self._keeps_alive = False
        self._reading_paused = False
        self._last_at = 0.0  # of the request, the head, or the last piece
        self._timer: asyncio.TimerHandle | None = None
        self._poll: select.poll | None = None
        self.idle_since = 0.0
        self.idle_timeout_s = pool.limits.idle_timeout_s
        self.is_closed = False
        self.served = 0

    # ── called by the pool and the exchange ──────────────────────────────────────────────────────────────────────

    def begin(self, exchange: UpstreamExchange, request: bytes) -> None:
        """Send *request* and take its reply."""
        self._headers = []
        self._unread = b""
        self._head_bytes = self._silent_bytes = self._interim = 0
        self._head_complete = self._is_delimited = self._complete = self._surplus = False
        self._exchange = exchange
        exchange.connection = self
        exchange.is_reused = self.served > 0
        self.served += 1
        self._last_at = self._pool.loop.time()
        # From here on nobody can prove that the upstream has seen nothing.
        exchange.request_bytes_written = True
        self.transport.write(request)
        if exchange.is_paused:
            self.pause_reading()
        self.arm()

    def is_usable(self, now: float) -> bool:
        """
        May a request be sent on this idle connection?

        Asks the socket: an end of the connection that the loop has not read yet makes it readable, and so does
        anything unasked. So what is closed is found out before a byte is written.
        """
        if self.is_closed or self.transport.is_closing():
            return False
        if now - self.idle_since >= self.idle_timeout_s:
            return False
        return self._poll is None or not self._poll.poll(0)

    def close(self) -> None:
        """Close an idle connection."""
        self.is_closed = True
        self._pool.forget(self)
        self.transport.close()

    def give_up(self) -> None:
        """The exchange was aborted: its connection cannot serve another."""
        self._exchange = None
        self._pieces.clear()
        self._cut()

    def pause_reading(self) -> None:
        if not self._reading_paused and not self.is_closed:
            self._reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and (self._ahead or not self.is_closed):
            self._reading_paused = False
            self._last_at = self._pool.loop.time()
            if self._ahead:
                self._await_turn()
            else:
                self.transport.resume_reading()
            self.arm()

    # ── called by the transport ──────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports derive from nothing of asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def data_received(self, data: bytes) -> None:
        if len(data) > TURN_BYTES or self._ahead:
            self._take_in_turns(data)
        else:
            self._take(data)

    def _take_in_turns(self, data: bytes) -> None:
        is_first = not self._ahead
        self._ahead += data
        if is_first:
            self.transport.pause_reading()
            self._next_turn()

    def _await_turn(self) -> None:
        if not self._turn_comes:
            self._turn_comes = True
            self._pool.loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        """Take some of what is ahead, unless the client has to catch up first; then others have their turn."""
        self._turn_comes = False
        if self._reading_paused or not self._ahead:
            return
        data = bytes(self._ahead[:TURN_BYTES])
        del self._ahead[:TURN_BYTES]
        self._take(data)
        if self._ahead:
            self._await_turn()
            return
        self._hear_the_rest()
        if not (self._reading_paused or self.is_closed or self.transport.is_closing()):
            self.transport.resume_reading()

    def _hear_the_rest(self) -> None:
        later, self._later = self._later, []
        for told in later:
            told()

    def _take(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            if not self.is_closed:
                self._cut()  # nobody asked for it
            return
        malformed = ""
        if not self._head_complete:
            self._unread += data
        try:
            self._parser.feed_data(data)
            if self._pieces:
                self._silent_bytes = 0
            else:
                self._count(len(data))
        except httptools.HttpParserUpgrade:
            malformed = "it changed the protocol"
        except (httptools.HttpParserError, MalformedReplyError) as error:
            malformed = str(error.__context__ or error)
        # Handed on here, without a call of its own; any of these may abort the exchange.
        if self._head_complete and not exchange.status:
            self._deliver_head(exchange)
        pieces = self._pieces
        if pieces and self._exchange is exchange:
            brought = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._last_at = self._pool.loop.time()
            exchange.receiver.on_data(brought)
        if self._complete and self._exchange is exchange:
            self._end(exchange)
        if malformed and self._exchange is exchange:
            self._fail("protocol", malformed)

    def eof_received(self) -> bool:
        if self._ahead:
            self._later.append(self.eof_received)
            return False
        exchange = self._exchange
        if exchange is not None and self._head_complete and not self._is_delimited:
            self._keeps_alive = False
            self._end(exchange)
        return False  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._pool.forget(self)
        if self._ahead:
            self._later.append(partial(self.connection_lost, exc))
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._exchange is not None:
            self._fail("reset", str(exc) if exc is not None else "closed before the reply ended")

    # ── called by the parser ─────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self._complete and not self._surplus:
            self._surplus = True
            self._pieces = self._pieces.copy()  # what comes now is nobody's

    def on_headers_complete(self) -> None:
        if self._surplus:
            return
        status = self._parser.get_status_code()
        # Asked once per connection: the parser makes a text for it.
        if self.served == 1 and self._parser.get_http_version() not in ("1.1", "1.0"):
            raise MalformedReplyError("neither HTTP/1.1 nor 1.0")
        head = self._take_head()
        if status < 200:
            self._interim += 1
            if status < 100 or status == 101 or self._interim > self._pool.limits.interim_max:
                raise MalformedReplyError(f"status {status} cannot be")
            self._is_interim = True
            return
        self._is_delimited = status in (204, 304)
        self._headers = headers = reply_fields(head, self._pool.limits.head_max_fields)
        for name, value in headers:
            self._heed(name, value)
        self._unread = b""
        self._status = status
        self._head_complete = True

    def _take_head(self) -> bytes:
        """The head that the parser has just come to the end of, out of what is not yet read."""
        head, end, self._unread = self._unread.partition(_END_OF_HEAD)
        if not end or not head.startswith(b"HTTP/"):
            raise MalformedReplyError("a head that ends or begins in another way")
        if len(head) > self._pool.limits.head_max_bytes:
            raise MalformedReplyError("the head is too large")
        return head

    def _heed(self, name: bytes, value: bytes) -> None:
        """Take notice of a field that is about the connection or the form of the body."""
        if name == b"content-length":
            self._is_delimited = True
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise MalformedReplyError("a transfer coding that is not chunked")
            self._is_delimited = True
        elif name == b"keep-alive":
            self._learn_idle_timeout(value)
        elif name == b"content-encoding" and value.lower() != b"identity":
            assert self._exchange is not None
            self._exchange.content_coding = value

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
        elif not self._complete:
            self._complete = True
            self._keeps_alive = self._parser.should_keep_alive()

    # ── delivering ───────────────────────────────────────────────────────────────────────────────────────────────

    def _deliver_head(self, exchange: UpstreamExchange) -> None:
        self._last_at = self._pool.loop.time()
        exchange.status = self._status
        exchange.receiver.on_head(exchange.status, self._headers)
        if self._exchange is exchange and not self._complete:
            self.arm()

    def _count(self, size: int) -> None:
        """Bound what is neither head nor body: the parser itself bounds nothing."""
        limits = self._pool.limits
        if not self._head_complete:
            self._head_bytes += size
            if self._head_bytes > limits.head_max_bytes:
                raise MalformedReplyError("the head is too large")
            if self._unread.count(b"\n") > 1 + limits.head_max_fields:
                raise MalformedReplyError("too many header fields")
        elif not self._complete:
            self._silent_bytes += size
            if self._silent_bytes > limits.silent_max_bytes:
                raise MalformedReplyError("framing without end")

    def _end(self, exchange: UpstreamExchange) -> None:
        self._exchange = None
        receiver = exchange.detach()
        may_stay = (
            self._keeps_alive
            and not self._surplus
            and not self._ahead
            and not self.transport.is_closing()
            and not self.transport.get_write_buffer_size()
        )
        if may_stay:
            if self._reading_paused:
                self._reading_paused = False
                self.transport.resume_reading()
            self._pool.give_back(self)
        else:
            self._cut()
        receiver.on_end()

    def _fail(self, kind: FailureKind, detail: str) -> None:
        exchange, self._exchange = self._exchange, None
        self._pieces.clear()
        self._cut()
        assert exchange is not None
        exchange.fail(UpstreamFailure(kind, exchange.request_bytes_written, detail))

    def _cut(self) -> None:
        self._ahead.clear()
        if not self.is_closed:
            self.is_closed = True
            self._pool.forget(self)
            self.transport.abort()
        self._hear_the_rest()

    def _learn_idle_timeout(self, value: bytes) -> None:
        match = _KEEP_ALIVE.search(value)
        if match is not None:
            stated = max(0.0, int(match[1]) - 1.0)
            self.idle_timeout_s = min(self._pool.limits.idle_timeout_s, stated)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def arm(self) -> None:
        """See to it that the clock is looked at in time; a timer that comes earlier is left alone."""
        exchange = self._exchange
        if exchange is None:
            return
        at = min(exchange.deadline_at, self._next_timeout(exchange))
        timer = self._timer
        if timer is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timer = self._pool.loop.call_at(at, self._look_at_the_clock)

    def _next_timeout(self, exchange: UpstreamExchange) -> float:
        if exchange.timeout_told or (exchange.status and self._reading_paused):
            return exchange.deadline_at
        if exchange.status:
            return self._last_at + exchange.gap_timeout_s
        return self._last_at + self._pool.limits.first_byte_timeout_s

    def _look_at_the_clock(self) -> None:
        self._timer = None
        exchange = self._exchange
        if exchange is None:
            return
        now = self._pool.loop.time() + 0.001  # the loop's clock is coarser than its timers
        if now >= exchange.deadline_at:
            self._fail("deadline", "the whole call took too long")
            return
        if now >= self._next_timeout(exchange):
            exchange.timeout_told = True
            exchange.receiver.on_timeout("gap_timeout" if exchange.status else "first_byte_timeout")
        self.arm()
