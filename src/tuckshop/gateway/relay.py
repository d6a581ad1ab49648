"""
Relay and meter: from the first byte of a reply to its last, whoever still listens.

A `Relay` stands between the client's exchange and the upstream's, called back by both, with no task and no queue of
its own. Whatever happens, and in whatever order, its `Resolution` is reached exactly once (M6); the client may be long
gone by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tuckshop.domain.errors import (
    RefusalError,
    ServerBusyError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from tuckshop.domain.money import usd_text
from tuckshop.domain.reservation import Flag, Granted
from tuckshop.gateway.call import Call
from tuckshop.gateway.coding import CodingError, Decoder, decoder_for
from tuckshop.gateway.ports import Outlet, Tap
from tuckshop.gateway.reply_head import JSON, ReplyHead
from tuckshop.gateway.resolution import RelayTools, Resolution
from tuckshop.gateway.upstream_errors import note_on, verdict_on
from tuckshop.protocols.openai import errors as wording
from tuckshop.protocols.openai.events import EventMeter
from tuckshop.protocols.openai.headers import Headers, answer_headers, output_cap
from tuckshop.protocols.openai.reply import (
    has_output,
    usage_of,
    usage_of_tail,
    without_account,
)
from tuckshop.protocols.openai.typed_stream import meter_for
from tuckshop.upstreams.exchange import UpstreamExchange
from tuckshop.upstreams.failure import TimeoutKind, UpstreamFailure

_log: Final = logging.getLogger(__name__)

ERROR_MAX_BYTES: Final = 1 << 20


class Relay:
    """One call on its way through. The receiver of the upstream's callbacks."""

    __slots__ = (
        "_beginning", "_body", "_decoder", "_done", "_drain_timer", "_exchange", "_granted", "_head", "_head_sent",
        "_is_drained", "_is_gone", "_length", "_meter", "_on_done", "_resolution", "_tap", "_tools", "_upstream",
        "call",
    )  # fmt: skip

    def __init__(
        self,
        *,
        call: Call,
        granted: Granted,
        exchange: Outlet,
        began_s: float,
        tools: RelayTools,
        on_done: Callable[[Relay], None],
        tap: Tap | None = None,
        marks: frozenset[Flag] = frozenset(),
    ) -> None:
        """*tap*: where the call's bodies may be kept."""
        self.call = call
        self._granted = granted
        self._exchange = exchange
        self._tools = tools
        self._on_done = on_done
        self._tap = tap
        self._resolution = Resolution(call, granted, began_s, tools)
        self._resolution.flags |= marks
        self._upstream: UpstreamExchange | None = None
        self._head: ReplyHead | None = None
        self._meter: EventMeter | None = None
        self._decoder: Decoder | None = None
        self._body = bytearray()
        self._beginning = b""  # of a reply too long to be kept
        self._length = 0  # of a whole reply so far
        self._head_sent = False  # the client has the head of the reply
        self._is_gone = False  # nobody listens any more: left, cut off, or answered for good
        self._is_drained = False
        self._drain_timer: asyncio.TimerHandle | None = None
        self._done = False

    def start(self, upstream: UpstreamExchange) -> None:
        """The request is on its way over *upstream*."""
        self._upstream = upstream
        exchange = self._exchange
        exchange.on_disconnect = self._client_left
        exchange.on_pause = upstream.pause
        exchange.on_resume = upstream.resume

    # ── from the upstream ─────────────────────────────────────────────────────────────────────────────────────

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The reply begins."""
        self._exchange.release_body()  # an upstream that answers has read it, or never will
        head = self._head = ReplyHead(status, headers)
        self._resolution.reply_began(head)
        if status < 400:
            self._tools.circuit.answered()
        assert self._upstream is not None
        coding = self._upstream.content_coding
        if coding is not None:
            self._decoder = decoder_for(coding)
            if self._decoder is None:
                self._break_off(f"a reply coded as {coding[:32]!r}")
                return
        facts = self.call.facts
        if head.is_success and head.is_event_stream and facts is not None:
            self._meter = meter_for(
                self.call.endpoint,
                facts,
                limits=self._tools.reply_limits,
                credential=self._tools.credential,
            )
            self._send_head(head)

    def on_data(self, data: bytes) -> None:
        """A piece of the reply's body. For most of them this is all that is done here, so it calls little."""
        meter = self._meter
        if self._decoder is not None:
            self._decode(self._decoder, data)
        elif meter is None:
            self._take(data)
        else:
            passed_on = meter.feed(data)
            if passed_on:
                if self._tap is not None:
                    self._tap.add(passed_on)
                if not self._is_gone:
                    self._exchange.write(passed_on)

    def _decode(self, decoder: Decoder, data: bytes) -> None:
        try:
            for piece in decoder.feed(data):
                self._take(piece)
        except CodingError as error:
            self._break_off(f"a reply that cannot be decoded ({error})")

    def _take(self, data: bytes) -> None:
        if self._meter is not None:
            passed_on = self._meter.feed(data)
            if passed_on:
                self._pass_on(passed_on)
            return
        assert self._head is not None
        self._length += len(data)
        if self._head.is_success:
            self._collect(self._head, data)
        elif self._length <= ERROR_MAX_BYTES:
            self._body += data

    def on_end(self) -> None:
        """The reply is complete."""
        if self._decoder is not None and not self._decoder.is_complete and self._length:
            self._break_off("a reply that ended within its coding")
            return
        head = self._head
        assert head is not None
        try:
            if self._meter is not None:
                self._end_of_stream(self._meter)
            elif head.is_success:
                self._end_of_whole_reply(head)
            else:
                self._end_of_error(head)
        finally:  # whatever went wrong: the upstream has answered, so something is owed
            if not self._resolution.is_reached:
                self._resolution.charge_bound("server_fault", http_status=head.status)
                self._tell(ServerBusyError("a fault of the server; it is logged"))
            self._finish()

    def on_error(self, failure: UpstreamFailure) -> None:
        """The reply did not come, or broke off."""
        if not failure.request_bytes_written:
            refusal: RefusalError = UpstreamUnavailableError()
            self._resolution.void(failure.kind, http_status=refusal.status)
        else:
            late = failure.kind == "deadline"
            refusal = UpstreamTimeoutError() if late else UpstreamUnavailableError()
            self._resolution.charge_what_is_known(
                self._meter, failure.kind, http_status=refusal.status
            )
        self._tell(refusal)
        self._finish()

    def on_timeout(self, kind: TimeoutKind) -> None:
        """The upstream is silent for too long, its connection alive: told to the client, and read on."""
        self._tell(UpstreamTimeoutError())
        # On to the deadline of the whole call, which the exchange keeps.
        self._drain(timeout_s=None)

    # ── from the client's side, and from above ────────────────────────────────────────────────────────────────

    def _client_left(self) -> None:
        if self._done or self._is_gone:
            return
        self._is_gone = True
        self._resolution.flags.add("client_left")
        assert self._upstream is not None
        if self.call.policy.on_disconnect == "cancel" or not self._upstream.request_bytes_written:
            self.cancel("client_left")
        else:
            self._drain(timeout_s=self._tools.drains.limits.timeout_s)

    def cut(self, refusal: RefusalError) -> None:
        """The key was revoked or paused: end the client's side with *refusal*, read the upstream on."""
        if self._done or self._is_gone:
            return
        self._tell(refusal)
        self._drain(timeout_s=self._tools.drains.limits.timeout_s)

    def cancel(self, reason: str) -> None:
        """End it now: the upstream is cut off and the bound charged, unless it has told its usage or seen nothing."""
        if self._done:
            return
        assert self._upstream is not None
        self._upstream.abort()
        if self._upstream.request_bytes_written:
            status = self._head.status if self._head is not None else None
            self._resolution.charge_what_is_known(self._meter, reason, http_status=status)
        else:
            self._resolution.void(reason, http_status=None)
        self._tell(ServerBusyError("the server is shutting down"))
        self._finish()

    def _break_off(self, reason: str) -> None:
        """Nothing of this reply can be used, and what it cost cannot be known."""
        assert self._upstream is not None
        self._upstream.abort()
        refusal = UpstreamUnavailableError()
        _log.error("%s: the upstream sent %s", self.call.request_id, reason)
        self._resolution.charge_bound("protocol", http_status=refusal.status)
        self._tell(refusal)
        self._finish()

    def _drain(self, *, timeout_s: float | None) -> None:
        if self._is_drained:
            return
        drains = self._tools.drains
        if not drains.enter(self.call.holder.member.id):
            self.cancel("drains are full")
            return
        self._is_drained = True
        assert self._upstream is not None
        self._upstream.resume()
        if timeout_s is not None:
            self._drain_timer = self._tools.loop.call_later(
                timeout_s, self.cancel, "drained for too long"
            )

    # ── the client's reply ────────────────────────────────────────────────────────────────────────────────────

    def _send_head(self, head: ReplyHead) -> None:
        self._head_sent = True
        if not self._is_gone:
            self._exchange.start(head.status, self._reply_headers(head), None)

    def _send_whole(self, head: ReplyHead, body: bytes, *, cost_nano: int | None = None) -> None:
        """Head and body in one write."""
        self._head_sent = True
        if self._tap is not None:
            self._tap.add(body)
        if not self._is_gone:
            self._exchange.reply(head.status, self._reply_headers(head, cost_nano), body)

    def _reply_headers(self, head: ReplyHead, cost_nano: int | None = None) -> Headers:
        """The fields of the reply; a cost that is known takes its hold's place in them."""
        granted, telling = self._granted, self.call.telling
        if cost_nano is None:
            standing = telling.fields(granted.readings, granted.at_us)
        else:
            standing = telling.fields(
                granted.readings,
                granted.at_us,
                held_nano=granted.held.cost_nano,
                cost_nano=cost_nano,
            )
        cap = None
        if self.call.is_lowered_by(granted.cap):
            cap = output_cap(granted.cap, granted.lowered_by, granted.limits)
        return answer_headers(
            request_id=self.call.request_id,
            content_type=head.content_type,
            is_stream=self._meter is not None,
            standing=standing,
            upstream_request_id=head.request_id,
            cost_usd=None if cost_nano is None else usd_text(cost_nano),
            output_cap=cap,
        )

    def _tell(self, refusal: RefusalError) -> None:
        """End the client's side with *refusal*, in whatever form is still possible."""
        if self._is_gone:
            return
        exchange, request_id = self._exchange, self.call.request_id
        self._is_gone = True
        exchange.on_disconnect = None
        if not self._head_sent:
            self._resolution.told_status = refusal.status
            status, headers, body = wording.refusal(
                refusal, now_us=self._tools.clock.now_us(), request_id=request_id
            )
            headers += self.call.telling.fields(self._granted.readings, self._granted.at_us)
            exchange.reply(status, headers, body)
        elif self._meter is not None:
            exchange.end(self._meter.refusal(refusal))
        else:
            exchange.abort()  # in the middle of a body of stated length: only a broken connection is honest

    # ── how it ends ───────────────────────────────────────────────────────────────────────────────────────────

    def _pass_on(self, data: bytes) -> None:
        """A piece of the reply's body, as the client is to see it."""
        if self._tap is not None:
            self._tap.add(data)
        if not self._is_gone:
            self._exchange.write(data)

    def _end_of_stream(self, meter: EventMeter) -> None:
        rest = meter.finish()
        if rest and self._tap is not None:
            self._tap.add(rest)
        self._resolution.charge_stream(meter)
        if not self._is_gone:
            self._exchange.end(rest)

    def _collect(self, head: ReplyHead, data: bytes) -> None:
        """Keep a reply; one that is too long is passed on as it comes, its cost told nowhere but in the log."""
        limits = self._tools.reply_limits
        self._body += data
        if self._head_sent:
            self._pass_on(data)
            del self._body[: -limits.tail_bytes]
        elif self._length > limits.whole_max_bytes:
            self._beginning = bytes(self._body[: limits.tail_bytes])
            self._send_head(head)
            if self._done:  # the client was cut off by it, and nobody reads on
                return
            self._pass_on(bytes(self._body))
            del self._body[: -limits.tail_bytes]

    def _end_of_whole_reply(self, head: ReplyHead) -> None:
        body = bytes(self._body)
        resolution = self._resolution
        if self.call.is_free:
            cost_nano = resolution.charge_free()
        else:
            is_tail = self._head_sent
            told = usage_of_tail(body, beginning=self._beginning) if is_tail else usage_of(body)
            if told is None or told.usage is None:
                cost_nano = resolution.charge_reported(None, None, None)
            else:
                says_nothing = not told.usage.output_tokens
                cost_nano = resolution.charge_reported(
                    told.usage,
                    told.model,
                    told.service_tier,
                    saw_output=says_nothing
                    and (is_tail or has_output(body, self.call.endpoint.events)),
                )
        if not self._head_sent:
            clean = without_account(body, self._tools.credential)
            self._send_whole(head, clean, cost_nano=cost_nano)
        elif not self._is_gone:
            self._exchange.end()

    def _end_of_error(self, head: ReplyHead) -> None:
        body = bytes(self._body) if self._length <= ERROR_MAX_BYTES else b""
        upstream = self.call.upstream
        verdict = verdict_on(head, body, upstream=upstream, watch=self._tools.watch)
        refusal, is_unbilled, refuses_us, error = verdict
        note_on(self._tools.circuit, upstream, refuses_us, self._tools.clock.monotonic_s())
        answered = refusal.status if refusal else head.status
        if is_unbilled:
            self._resolution.void(error, http_status=answered)
        else:
            self._resolution.charge_bound(error, http_status=answered)
        if refusal is not None:
            self._tell(refusal)
        else:
            head.content_type = JSON
            self._send_whole(head, wording.clean_upstream_error(body, self._tools.credential))

    def _finish(self) -> None:
        assert self._resolution.is_reached
        self._done = True
        if self._tap is not None:
            status = None if self._head is None else self._head.status
            self._tap.end(status, is_stream=self._meter is not None)
        if self._head is None:
            self._tools.circuit.unanswered()
        if self._is_drained:
            self._tools.drains.leave(self.call.holder.member.id)
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        exchange = self._exchange
        exchange.on_disconnect = exchange.on_pause = exchange.on_resume = None
        self._on_done(self)
