"""
Relay, meter, settle: from the first byte of a reply to the one resolution of its reservation.

A `Relay` stands between the client's exchange and the upstream's, called back by both, with no task and no queue of
its own. Whatever happens, and in whatever order, `_resolve` is reached exactly once (M6); the client may be long gone
by then. What is charged for which end is `gateway/outcome.py`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import (
    RefusalError,
    ServerBusyError,
    UpstreamOverloadedError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from tuckshop.domain.money import usd_text
from tuckshop.domain.reservation import (
    Flag,
    Granted,
    LimitState,
    Outcome,
    Settlement,
    Void,
)
from tuckshop.domain.watch import Unwatched, Watch
from tuckshop.edge.exchange import Exchange
from tuckshop.gateway import outcome
from tuckshop.gateway.call import Call
from tuckshop.gateway.coding import CodingError, Decoder, decoder_for
from tuckshop.gateway.drains import Drains
from tuckshop.pricing.cost import Usage
from tuckshop.pricing.prices import ModelPrice, PriceList
from tuckshop.protocols.openai import errors as wording
from tuckshop.protocols.openai.events import EventMeter
from tuckshop.protocols.openai.headers import Headers, answer_headers, ratelimit_headers
from tuckshop.protocols.openai.reply import has_output, usage_of, usage_of_tail
from tuckshop.protocols.openai.typed_stream import meter_for
from tuckshop.upstreams.exchange import UpstreamExchange
from tuckshop.upstreams.failure import TimeoutKind, UpstreamFailure

_log: Final = logging.getLogger(__name__)

WHOLE_MAX_BYTES: Final = (
    1 << 20
)  # a longer reply is passed on as it comes, its cost told nowhere but in the log
TAIL_BYTES: Final = 64 << 10
ERROR_MAX_BYTES: Final = 1 << 20
UPSTREAM_ID_MAX: Final = 128
# What a client gets to see comes from outside, and in these a line of 64 KiB or a letter of 8 bits is no use.
_CONTENT_TYPE: Final = re.compile(rb"[ -~]{1,255}")


class Resolver(Protocol):
    """Where a resolution is handed over; returns at once."""

    def settle(self, settlement: Settlement) -> None:
        """Replace what is held by what was used."""

    def void(self, void: Void) -> None:
        """Give all of it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayTools:
    """What every relay works with."""

    ledger: Resolver
    drains: Drains
    prices: PriceList
    clock: Clock
    loop: asyncio.AbstractEventLoop
    watch: Watch = field(default_factory=Unwatched)
    credential: str = ""  # of the upstream; taken out of what it says when it fails


class Relay:
    """One call on its way through. The receiver of the upstream's callbacks."""

    __slots__ = (
        "_began_s", "_beginning", "_body", "_call", "_content_type", "_decoder", "_done", "_drain_timer", "_exchange",
        "_first_byte_ms", "_flags", "_granted", "_head_sent", "_is_drained", "_is_gone", "_length", "_meter",
        "_on_done", "_resolved", "_retry_after", "_retry_after_ms", "_status", "_told_status", "_tools", "_upstream",
        "_upstream_request_id",
    )  # fmt: skip

    def __init__(
        self,
        *,
        call: Call,
        granted: Granted,
        exchange: Exchange,
        began_s: float,
        tools: RelayTools,
        on_done: Callable[[Relay], None],
    ) -> None:
        self._call = call
        self._granted = granted
        self._exchange = exchange
        self._began_s = began_s  # monotonic, when the call was complete
        self._tools = tools
        self._on_done = on_done
        self._upstream: UpstreamExchange | None = None
        self._flags: set[Flag] = {"clamped"} if granted.lowered_by else set()
        self._meter: EventMeter | None = None
        self._decoder: Decoder | None = None
        self._body = bytearray()
        self._beginning = b""  # of a reply too long to be kept
        self._length = 0  # of a whole reply so far
        self._status = 0
        self._told_status: int | None = None  # what the client was told in place of a reply
        self._content_type = b"application/json"
        self._retry_after: str | None = None
        self._retry_after_ms: str | None = None
        self._upstream_request_id: str | None = None
        self._first_byte_ms: int | None = None
        self._head_sent = False  # the client has the head of the reply
        self._is_gone = False  # nobody listens any more: left, cut off, or answered for good
        self._is_drained = False
        self._drain_timer: asyncio.TimerHandle | None = None
        self._resolved = False
        self._done = False

    @property
    def call(self) -> Call:
        """What is being relayed."""
        return self._call

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
        self._status = status
        self._first_byte_ms = self._elapsed_ms()
        content_type = b""
        for name, value in headers:
            if name == b"content-type":
                content_type = value
            elif name == b"x-request-id":
                self._upstream_request_id = value[:UPSTREAM_ID_MAX].decode("latin-1")
            elif name == b"retry-after":
                self._retry_after = value.decode("latin-1")
            elif name == b"retry-after-ms":
                self._retry_after_ms = value.decode("latin-1")
        if not content_type:
            self._content_type = b"application/json"
        elif _CONTENT_TYPE.fullmatch(content_type):
            self._content_type = content_type
        else:
            self._content_type = b"application/octet-stream"
        assert self._upstream is not None
        coding = self._upstream.content_coding
        if coding is not None:
            self._decoder = decoder_for(coding)
            if self._decoder is None:
                self._break_off(f"a reply coded as {coding[:32]!r}")
                return
        facts = self._call.facts
        is_stream = content_type.lower().startswith(b"text/event-stream")
        if 200 <= status < 300 and is_stream and facts is not None:
            self._meter = meter_for(self._call.endpoint, facts, self._tools.credential)
            self._send_head()

    def on_data(self, data: bytes) -> None:
        """A piece of the reply's body."""
        if self._decoder is None:
            self._take(data)
            return
        try:
            for piece in self._decoder.feed(data):
                self._take(piece)
        except CodingError as error:
            self._break_off(f"a reply that cannot be decoded ({error})")

    def _take(self, data: bytes) -> None:
        if self._meter is not None:
            passed_on = self._meter.feed(data)
            if passed_on and not self._is_gone:
                self._exchange.write(passed_on)
            return
        self._length += len(data)
        if 200 <= self._status < 300:
            self._collect(data)
        elif self._length <= ERROR_MAX_BYTES:
            self._body += data

    def on_end(self) -> None:
        """The reply is complete."""
        if self._decoder is not None and not self._decoder.is_complete and self._length:
            self._break_off("a reply that ended within its coding")
            return
        try:
            if self._meter is not None:
                self._end_of_stream(self._meter)
            elif 200 <= self._status < 300:
                self._end_of_whole_reply()
            else:
                self._end_of_error()
        finally:  # whatever went wrong: the upstream has answered, so something is owed
            if not self._resolved:
                self._charge("server_fault", http_status=self._status)
            self._finish()

    def on_error(self, failure: UpstreamFailure) -> None:
        """The reply did not come, or broke off."""
        if not failure.request_bytes_written:
            refusal: RefusalError = UpstreamUnavailableError()
            self._void(refusal.status, failure.kind)
        else:
            late = failure.kind == "deadline"
            refusal = UpstreamTimeoutError() if late else UpstreamUnavailableError()
            self._charge_what_is_known(failure.kind, http_status=refusal.status)
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
        self._flags.add("client_left")
        assert self._upstream is not None
        if self._call.policy.on_disconnect == "cancel" or not self._upstream.request_bytes_written:
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
            self._charge_what_is_known(reason, http_status=self._status or None)
        else:
            self._void(None, reason)
        self._tell(ServerBusyError("the server is shutting down"))
        self._finish()

    def _break_off(self, reason: str) -> None:
        """Nothing of this reply can be used, and what it cost cannot be known."""
        assert self._upstream is not None
        self._upstream.abort()
        refusal = UpstreamUnavailableError()
        _log.error("%s: the upstream sent %s", self._call.request_id, reason)
        self._charge("protocol", http_status=refusal.status)
        self._tell(refusal)
        self._finish()

    def _drain(self, *, timeout_s: float | None) -> None:
        if self._is_drained:
            return
        drains = self._tools.drains
        if not drains.enter(self._call.holder.member.id):
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

    def _send_head(self) -> None:
        self._head_sent = True
        if not self._is_gone:
            self._exchange.start(self._status, self._reply_headers(), None)

    def _send_whole(self, body: bytes, *, cost_nano: int | None = None) -> None:
        """Head and body in one write."""
        self._head_sent = True
        if not self._is_gone:
            self._exchange.reply(self._status, self._reply_headers(cost_nano), body)

    def _reply_headers(self, cost_nano: int | None = None) -> Headers:
        return answer_headers(
            request_id=self._call.request_id,
            content_type=self._content_type,
            is_stream=self._meter is not None,
            states=self._states(cost_nano),
            now_us=self._granted.at_us,
            upstream_request_id=self._upstream_request_id,
            cost_usd=None if cost_nano is None else usd_text(cost_nano),
            output_cap=self._granted.cap if self._call.is_lowered_by(self._granted.cap) else None,
            lowered_by=self._granted.lowered_by,
        )

    def _states(self, cost_nano: int | None) -> tuple[LimitState, ...]:
        """The limits as they stand for the client's headers; a cost that is known takes its hold's place."""
        if cost_nano is None:
            return self._granted.states
        return outcome.settled_states(self._granted, cost_nano)

    def _tell(self, refusal: RefusalError) -> None:
        """End the client's side with *refusal*, in whatever form is still possible."""
        if self._is_gone:
            return
        exchange, request_id = self._exchange, self._call.request_id
        self._is_gone = True
        exchange.on_disconnect = None
        if not self._head_sent:
            self._told_status = refusal.status
            status, headers, body = wording.refusal(
                refusal, now_us=self._tools.clock.now_us(), request_id=request_id
            )
            headers += ratelimit_headers(self._granted.states, self._granted.at_us)
            exchange.reply(status, headers, body)
        elif self._meter is not None:
            exchange.end(self._meter.refusal(refusal))
        else:
            exchange.abort()  # in the middle of a body of stated length: only a broken connection is honest

    # ── how it ends ───────────────────────────────────────────────────────────────────────────────────────────

    def _end_of_stream(self, meter: EventMeter) -> None:
        rest = meter.finish()
        self._charge_reported(
            meter.final_usage, meter.model, meter.service_tier, saw_output=meter.has_output
        )
        if not self._is_gone:
            self._exchange.end(rest)

    def _collect(self, data: bytes) -> None:
        self._body += data
        if self._head_sent:
            if not self._is_gone:
                self._exchange.write(data)
            del self._body[:-TAIL_BYTES]
        elif self._length > WHOLE_MAX_BYTES:
            self._beginning = bytes(self._body[:TAIL_BYTES])
            self._send_head()
            if not self._is_gone:
                self._exchange.write(bytes(self._body))
            del self._body[:-TAIL_BYTES]

    def _end_of_whole_reply(self) -> None:
        body = bytes(self._body)
        if self._call.is_free:
            cost_nano: int | None = self._charge_free()
        else:
            is_tail = self._head_sent
            told = usage_of_tail(body, beginning=self._beginning) if is_tail else usage_of(body)
            if told is None or told.usage is None:
                cost_nano = self._charge_reported(None, None, None)
            else:
                says_nothing = not told.usage.output_tokens
                cost_nano = self._charge_reported(
                    told.usage,
                    told.model,
                    told.service_tier,
                    saw_output=says_nothing
                    and (is_tail or has_output(body, self._call.endpoint.events)),
                )
        if not self._head_sent:
            self._send_whole(body, cost_nano=cost_nano)
        elif not self._is_gone:
            self._exchange.end()

    def _end_of_error(self) -> None:
        body = bytes(self._body) if self._length <= ERROR_MAX_BYTES else b""
        status = self._status
        told = outcome.provider_error(body)
        refusal = self._refusal_for(status, told)
        answered = refusal.status if refusal else status
        if told is not None and status >= 400:
            self._void(answered, told[0] or told[1] or f"http_{status}")
        elif status in (401, 403):  # whoever says so: nobody who was let in
            self._void(answered, f"http_{status}")
        else:
            self._charge(f"http_{status}", http_status=answered)
        if refusal is not None:
            self._tell(refusal)
        else:
            clean = wording.clean_upstream_error(body, self._tools.credential)
            self._content_type = b"application/json"
            self._send_whole(clean)

    def _refusal_for(
        self, status: int, told: tuple[str | None, str | None] | None
    ) -> RefusalError | None:
        """What the client is told in place of the upstream's words; None: they are relayed."""
        if status in (401, 403):
            self._tools.watch.alarm("upstream_auth")
            _log.error("the upstream refuses our credential (%d): no call can be served", status)
            return UpstreamUnavailableError(retryable=False)
        if status == 429 and told is not None and outcome.is_out_of_money(*told):
            self._tools.watch.alarm("upstream_money")
            _log.error("the account at the upstream is out of money: no call can be served")
            return UpstreamUnavailableError(retryable=False)
        if status in (429, 503, 529):
            return UpstreamOverloadedError(
                retry_after=self._retry_after, retry_after_ms=self._retry_after_ms
            )
        if status == 504:
            return UpstreamTimeoutError()
        if status < 400 or status >= 500 or told is None:
            return UpstreamUnavailableError()
        return None

    # ── the one resolution ────────────────────────────────────────────────────────────────────────────────────

    def _charge_what_is_known(self, error: str, *, http_status: int | None) -> None:
        """It ends before its end: usage that was told before is the truth all the same (M5)."""
        meter = self._meter
        if meter is None or meter.final_usage is None:
            self._charge(error, http_status=http_status)
        else:
            self._charge_reported(
                meter.final_usage,
                meter.model,
                meter.service_tier,
                saw_output=meter.has_output,
                error=error,
            )

    def _charge_reported(
        self,
        usage: Usage | None,
        model: str | None,
        tier: str | None,
        *,
        saw_output: bool = False,
        error: str | None = None,
    ) -> int:
        settlement = outcome.charge_reported(
            outcome.Reported(
                usage=usage,
                model=model,
                answered_price=self._tools.prices.find(model) if model else None,
                tier=tier,
                saw_output=saw_output,
                prompts=self._call.facts.prompts if self._call.facts else 1,
            ),
            granted=self._granted,
            price=self._price(),
            outcome=self._outcome(self._status, error),
            flags=frozenset(self._flags),
        )
        self._resolve(settlement)
        if "unconfirmed" in settlement.flags:
            _log.warning(
                "%s: no usable usage (%s): the bound is charged", settlement.request_id, usage
            )
        elif settlement.charged.cost_nano > self._granted.held.cost_nano:
            _log.error(
                "%s: the upstream billed more than the bound (overrun)", settlement.request_id
            )
        return settlement.charged.cost_nano

    def _charge_free(self) -> int:
        self._resolve(
            outcome.charge_nothing(
                self._granted, self._outcome(self._status, None), frozenset(self._flags)
            )
        )
        return 0

    def _charge(self, error: str, *, http_status: int | None) -> None:
        self._resolve(
            outcome.charge_bound(
                self._granted,
                outcome=self._outcome(http_status, error),
                flags=frozenset(self._flags),
            )
        )

    def _void(self, http_status: int | None, error: str) -> None:
        self._resolve(
            outcome.void(
                self._granted,
                outcome=self._outcome(http_status, error),
                flags=frozenset(self._flags),
            )
        )

    def _resolve(self, resolution: Settlement | Void) -> None:
        if self._resolved:
            return
        self._resolved = True
        if isinstance(resolution, Settlement):
            self._tools.ledger.settle(resolution)
        else:
            self._tools.ledger.void(resolution)

    def _finish(self) -> None:
        assert self._resolved
        self._done = True
        if self._is_drained:
            self._tools.drains.leave(self._call.holder.member.id)
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        exchange = self._exchange
        exchange.on_disconnect = exchange.on_pause = exchange.on_resume = None
        self._on_done(self)

    def _price(self) -> ModelPrice:
        assert self._call.price is not None
        return self._call.price

    def _elapsed_ms(self) -> int:
        return round((self._tools.clock.monotonic_s() - self._began_s) * 1000)

    def _outcome(self, http_status: int | None, error: str | None) -> Outcome:
        return Outcome(
            http_status=self._told_status or http_status,
            first_byte_ms=self._first_byte_ms,
            duration_ms=self._elapsed_ms(),
            upstream_request_id=self._upstream_request_id,
            error=error,
        )
