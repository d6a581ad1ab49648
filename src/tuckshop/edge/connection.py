"""
One client connection: requests in, one after the other, within deadlines and bounds (E1, E2, E6, E7).

States: a head is awaited or read (`HEAD`), then its body (`BODY`), then the reply is under way (`REPLY`) and what
the client sends meanwhile waits, up to a bound. After a reply: `HEAD` again, or `CLOSING`. After a refusal that left
part of the request unread: `LINGER`, reading and dropping for a moment, because closing with unread input would
reset the connection and the refusal with it.

A client that closes or half-closes before its reply has ended has left: common clients that give up send exactly
that, and must be noticed at once. So reading goes on during a reply, and the end of input is the end of the exchange.

A client that sends ahead is served a few requests in a turn of the loop, and so is one whose body is cut into many
small chunks, so that neither keeps others waiting; and none while it leaves replies unread beyond the bound of the
write buffer: a reply can be a thousand times its request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, cast

from tuckshop.domain.errors import (
    InvalidRequestError,
    RefusalError,
    RequestTimeoutError,
    RequestTooLargeError,
    ServerBusyError,
    UnsupportedContentEncodingError,
)
from tuckshop.edge.app import HeadVerdict
from tuckshop.edge.body import IncomingBody
from tuckshop.edge.deadline import Deadline
from tuckshop.edge.exchange import Exchange
from tuckshop.edge.floor import Floor
from tuckshop.edge.forwarded import scheme_of
from tuckshop.edge.head import HeadReader, RequestHead
from tuckshop.edge.partial_head import PartialHead
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)

_HEAD, _BODY, _REPLY, _LINGER, _CLOSING = range(5)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_REQUESTS_A_TURN: Final = 16


class Connection(asyncio.Protocol):
    """The protocol of an accepted connection. What all connections share is their `Floor`."""

    __slots__ = (
        "_ahead",
        "_asker",
        "_body",
        "_charged",
        "_consuming",
        "_deadline",
        "_exchange",
        "_floor",
        "_has_served",
        "_head",
        "_heads",
        "_is_admin",
        "_is_behind",
        "_is_proxied",
        "_partial",
        "_peer",
        "_reading_paused",
        "_refusal",
        "_state",
        "_unsent",
        "_verdict",
        "call_soon",
        "is_paused",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self.call_soon = floor.loop.call_soon
        self._state = _HEAD
        self._partial = PartialHead(max_bytes=floor.limits.head_max_bytes)
        self._heads = HeadReader(max_fields=floor.limits.head_max_fields)
        self._ahead = bytearray()  # what came before its turn
        self._head: RequestHead | None = None  # of the request that is read or answered
        self._has_served = False
        self._verdict: HeadVerdict | None = None
        self._refusal: RefusalError | None = None  # answered once the body is read and dropped
        self._body: IncomingBody | None = None
        self._charged = 0  # bytes of this connection in `floor.bodies`
        self._asker = ""  # whose they are
        self._exchange: Exchange | None = None
        self._is_admin = False  # the request goes to the ASGI application
        self._consuming = False
        self._is_behind = False  # of what is ahead, a turn was put off
        self._reading_paused = False
        self._deadline = Deadline(floor.loop, self._deadline_reached)
        self._unsent = 0  # of a reply that the client does not read, when last looked at
        self._peer = ""
        self._is_proxied = False  # the other side is a proxy whose forwarding fields are believed
        self.is_paused = False

    # ── called by the transport ──────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports derive from nothing of asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        limits = self._floor.limits
        self.transport.set_write_buffer_limits(high=limits.write_buffer_max_bytes)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        trusted = self._floor.trusted_proxies
        self._is_proxied = bool(trusted) and trusted.trust(self._peer)
        self._floor.connections.add(self)
        self._allow(limits.head_timeout_s)

    def data_received(self, data: bytes) -> None:
        if self._state == _REPLY or self._is_behind:
            self._keep(data)
        elif self._state <= _BODY:
            self._consume(data)

    def eof_received(self) -> bool:
        if self._state == _REPLY:
            self._client_left()
            self.transport.abort()
        return False  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.stop()
        self._floor.connections.discard(self)
        self._client_left()
        self.release_body()
        self._state = _CLOSING

    def pause_writing(self) -> None:
        self.is_paused = True
        self._await_the_reader()
        if self._exchange is not None and self._exchange.on_pause is not None:
            self._exchange.on_pause()

    def resume_writing(self) -> None:
        self.is_paused = False
        if self._state == _REPLY:
            self._deadline.clear()
        elif self._state == _HEAD:
            self._allow(self._floor.limits.keepalive_timeout_s)
        if self._exchange is not None and self._exchange.on_resume is not None:
            self._exchange.on_resume()
        self._catch_up()

    # ── called by the exchange and the floor ─────────────────────────────────────────────────────────────────────

    def keeps_alive(self, head: RequestHead) -> bool:
        """Will the connection take another request after this reply?"""
        return head.keep_alive and not self._floor.is_draining

    def date_field(self) -> bytes:
        """The `Date` field of now."""
        return self._floor.date_field()

    def release_body(self) -> None:
        """Give back what this connection's body holds of the memory for bodies."""
        if self._charged:
            self._floor.bodies.give_back(self._asker, self._charged)
            self._charged = 0

    def reply_ended(self) -> None:
        """The reply is complete: next request, or close."""
        head, self._head = self._head, None
        self._has_served = True
        self._drop_exchange()
        if head is None or not self.keeps_alive(head):
            self._close()
            return
        self._state = _HEAD
        if self.is_paused:
            self._await_the_reader()
        else:
            self._allow(self._floor.limits.keepalive_timeout_s)
        if not self._consuming:
            self._is_behind = bool(self._ahead)
            self._catch_up()

    def reply_aborted(self) -> None:
        """The reply is given up: cut the connection."""
        self._drop_exchange()
        self._state = _CLOSING
        self.transport.abort()

    def close_if_idle(self) -> None:
        """At the beginning of shutdown: nothing is under way here, so nothing is waited for."""
        if self._state == _HEAD and not (self._ahead or self._partial.has_begun):
            self._close()

    def cut(self) -> None:
        """At the end of shutdown: whatever is under way is over."""
        self._client_left()
        self._state = _CLOSING
        self.transport.abort()

    @property
    def is_busy(self) -> bool:
        """Is a request being read or answered, or a reply not yet sent?"""
        return (
            self._state in (_BODY, _REPLY)
            or bool(self._ahead)
            or self._partial.has_begun
            or self.transport.get_write_buffer_size() > 0
        )

    # ── reading requests ─────────────────────────────────────────────────────────────────────────────────────────

    def _consume(self, data: bytes) -> None:
        self._consuming = True
        heads = 0
        try:
            while data:
                if self._state == _HEAD:
                    if self.is_paused or heads == _REQUESTS_A_TURN:
                        self._put_off(data)
                        break
                    heads += 1
                    data = self._take_head(data)
                elif self._state == _BODY:
                    data = self._take_body(data)
                    if data and self._state == _BODY:
                        self._put_off(data)
                        break
                else:
                    if self._state == _REPLY:
                        self._keep(data)
                    break
        except RefusalError as error:
            self._refuse_and_close(error)
        finally:
            self._consuming = False

    def _keep(self, data: bytes) -> None:
        """What comes ahead of its turn waits; past the bound, in the client's own buffers."""
        self._ahead += data
        if len(self._ahead) > self._floor.limits.pipelined_max_bytes and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def _put_off(self, data: bytes) -> None:
        """*data* has its turn once others had theirs, and once the client has read what it was told."""
        self._ahead += data
        self._is_behind = True
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()
        if not self.is_paused:
            self.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        """Go on with what came ahead of its turn, and with reading."""
        if self._state > _BODY or self.is_paused:
            return
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()
        if self._is_behind:
            self._is_behind = False
            ahead = bytes(self._ahead)
            self._ahead.clear()
            self._consume(ahead)

    def _take_head(self, data: bytes) -> bytes:
        limits = self._floor.limits
        had_begun = self._partial.has_begun
        raw, rest = self._partial.feed(data)
        if raw is None:
            # The first head's time runs since the accept.
            if self._has_served and not had_begun:
                self._allow(limits.head_timeout_s)
            return b""
        head = self._heads.read(raw)
        head.peer = self._peer
        if self._is_proxied:
            head.peer = self._floor.trusted_proxies.client_of(head.headers, self._peer)
            head.scheme = scheme_of(head.headers)
        self._begin(head, has_more=bool(rest))
        return rest

    def _begin(self, head: RequestHead, *, has_more: bool) -> None:
        """A head is complete: judge it, then read the body or refuse it."""
        self._head = head
        verdict, refusal = self._judge(head)
        self._verdict = verdict
        self._asker = verdict.asker
        has_body = head.chunked or head.content_length > 0
        if refusal is not None:
            may_discard = (
                not head.chunked
                and head.content_length <= self._floor.limits.discard_max_bytes
                and not (has_body and head.expects_continue)
            )
            if not may_discard:
                raise refusal
        self._refusal = refusal
        if not has_body:
            self._complete(b"")
            return
        self._state = _BODY
        floor = self._floor
        body = self._body = IncomingBody(
            head,
            max_bytes=verdict.max_body,
            limits=floor.limits,
            charge=self._charge if refusal is None else None,
            began_at=floor.loop.time(),
        )
        if not has_more:
            if head.expects_continue:
                self.transport.write(_CONTINUE)
            self._deadline.set(body.deadline())

    def _judge(self, head: RequestHead) -> tuple[HeadVerdict, RefusalError | None]:
        floor = self._floor
        is_admin = self._is_admin = floor.serves_by_asgi(head.path)
        if is_admin:
            verdict = HeadVerdict(floor.limits.body_max_bytes)
        else:
            try:
                verdict = floor.app.admit_head(head)
            except RefusalError as error:
                verdict = HeadVerdict(0, error)
        if verdict.refusal is not None:
            return verdict, verdict.refusal
        if head.content_coding is not None:
            coding = head.content_coding.decode("latin-1")
            return verdict, UnsupportedContentEncodingError(coding)
        if head.content_length > verdict.max_body:
            return verdict, RequestTooLargeError(verdict.max_body)
        if floor.in_flight >= floor.limits.in_flight_max and not is_admin:
            return verdict, ServerBusyError("too many calls are being served")
        return verdict, None

    def _take_body(self, data: bytes) -> bytes:
        incoming = self._body
        assert incoming is not None
        rest = incoming.feed(data)
        if incoming.is_whole:
            self._body = None
            self._complete(incoming.take())
        else:
            self._deadline.set(incoming.deadline())
        return rest

    def _charge(self, size: int) -> None:
        before = self._charged
        self._charged += size
        self._floor.bodies.take(self._asker, before=before, size=size)

    # ── answering ────────────────────────────────────────────────────────────────────────────────────────────────

    def _complete(self, body: bytes) -> None:
        """A request is complete: serve it."""
        head, verdict, floor = self._head, self._verdict, self._floor
        assert head is not None
        assert verdict is not None
        self._state = _REPLY
        self._deadline.clear()
        exchange = self._exchange = Exchange(self, head, body, verdict.context)
        floor.in_flight += 1
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            self._refuse_exchange(exchange, refusal)
            return
        try:
            work = floor.serve_by_asgi(exchange) if self._is_admin else floor.app.handle(exchange)
        except RefusalError as error:
            self._refuse_exchange(exchange, error)
            return
        if work is not None:
            exchange.attach(spawn(self._run(work, exchange), name="exchange", tasks=floor.tasks))

    async def _run(self, work: Coroutine[Any, Any, None], exchange: Exchange) -> None:
        try:
            await work
        except RefusalError as error:
            self._refuse_exchange(exchange, error)
        except Exception:  # noqa: BLE001
            # The outer edge of a request: the client sees that it failed, the log says why.
            _log.exception("serving %s failed", exchange.method)
            if exchange.started or exchange.client_left:
                exchange.abort()
            else:
                exchange.reply(500, [], b"")

    def _refuse_exchange(self, exchange: Exchange, error: RefusalError) -> None:
        if exchange.started:
            exchange.abort()
            return
        if isinstance(error, InvalidRequestError):
            exchange.head.keep_alive = False  # whoever sends such things is not read any further
        exchange.reply(*self._floor.refuse(error, exchange.head))

    def _refuse_and_close(self, error: RefusalError) -> None:
        """Answer a request that was not read to its end, and read no further one."""
        self.release_body()
        self._body = None
        self._partial.clear()
        self._ahead.clear()
        status, headers, body = self._floor.refuse(error, self._head)
        lines = [b"HTTP/1.1 %d " % status, *map(b": ".join, headers)]
        if self._head is not None:
            lines += map(b": ".join, self._head.reply_fields)
        lines += [b"content-length: %d" % len(body), b"connection: close", self.date_field()]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self._state = _LINGER
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._allow(self._floor.limits.linger_timeout_s)

    def _client_left(self) -> None:
        exchange = self._exchange
        if exchange is not None:
            self._drop_exchange()
            self._state = _CLOSING
            exchange.leave()

    def _drop_exchange(self) -> None:
        if self._exchange is not None:
            self._exchange = None
            self._floor.in_flight -= 1
            if self._charged:
                self.release_body()

    def _close(self) -> None:
        """Close once what was written is sent; a client that does not read it is cut off."""
        self._state = _CLOSING
        if self.transport.get_write_buffer_size():
            self._allow(self._floor.limits.stall_timeout_s)
        self.transport.close()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _allow(self, seconds: float) -> None:
        """So long from now until something has to have happened."""
        self._deadline.set(self._floor.loop.time() + seconds)

    def _deadline_reached(self) -> None:
        if self.is_paused and self._state in (_HEAD, _REPLY):
            self._look_at_a_stalled_client()
        elif self._state == _HEAD:
            if self._partial.has_begun:
                self._refuse_and_close(RequestTimeoutError("head"))
            else:
                self._close()
        elif self._state == _BODY:
            self._refuse_and_close(RequestTimeoutError("body"))
        elif self._state != _REPLY:
            self.transport.abort()

    def _await_the_reader(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._allow(self._floor.limits.stall_timeout_s)

    def _look_at_a_stalled_client(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._unsent = unsent
            self._allow(self._floor.limits.stall_timeout_s)
        else:
            self._client_left()
            self.transport.abort()
