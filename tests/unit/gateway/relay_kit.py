"""A relay between an exchange and an upstream that are in memory, and a ledger that only writes down."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from tests.support.fake_clock import FakeClock
from tuckshop.domain.limits import parse_limit
from tuckshop.domain.policy import policy_of
from tuckshop.domain.records import Group, Holder, Member, VirtualKey, Workspace
from tuckshop.domain.reservation import CapWish, Granted, Settlement, Void
from tuckshop.domain.windows import ZoneHistory
from tuckshop.gateway.call import Call, bounded, course_of
from tuckshop.gateway.drains import DrainLimits, Drains
from tuckshop.gateway.relay import Relay
from tuckshop.gateway.resolution import RelayTools
from tuckshop.ledger.arithmetic import amounts_at
from tuckshop.pricing.prices import PriceList
from tuckshop.protocols.openai.facts import understand
from tuckshop.protocols.openai.reply import ReplyLimits
from tuckshop.protocols.openai.table import route
from tuckshop.upstreams.circuit import Circuit
from tuckshop.upstreams.failure import UpstreamFailure

UTC = ZoneHistory.of("UTC")
PRICES = PriceList.load()
CHAT = route("POST", "/v1/chat/completions")
COMPLETIONS = route("POST", "/v1/completions")
EMBEDDINGS = route("POST", "/v1/embeddings")
LIMIT = parse_limit("$1/month")


class FakeTimer:
    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class FakeLoop:
    timers: list[tuple[float, Callable[..., Any], tuple[Any, ...], FakeTimer]] = field(
        default_factory=list
    )

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> FakeTimer:
        timer = FakeTimer()
        self.timers.append((delay, callback, args, timer))
        return timer

    def ring(self) -> None:
        """All timers that are still set go off."""
        for _, callback, args, timer in self.timers:
            if not timer.is_cancelled:
                timer.cancel()
                callback(*args)


WHOLE_MAX_BYTES = 100_000  # of a reply that is parsed
REPLY_LIMITS = ReplyLimits(
    event_max_bytes={"chunks": 1 << 20, "typed": 1 << 20}, whole_max_bytes=WHOLE_MAX_BYTES
)


class FakeExchange:
    """What the client gets; strict about the order, as the real one is."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.received = b""
        self.length: int | None = None
        self.is_over = False
        self.was_aborted = False
        self.has_body = True
        self.on_disconnect: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    def start(self, status: int, headers: list[tuple[bytes, bytes]], length: int | None) -> None:
        assert not self.status
        assert not self.is_over
        self.status, self.headers, self.length = status, dict(headers), length

    def release_body(self) -> None:
        self.has_body = False

    def write(self, data: bytes) -> None:
        assert self.status
        assert not self.is_over
        self.received += data

    def end(self, data: bytes = b"") -> None:
        self.write(data)
        assert self.length in (None, len(self.received))
        self.is_over = True

    def reply(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.start(status, headers, len(body))
        self.end(body)

    def abort(self) -> None:
        assert not self.is_over
        self.is_over = self.was_aborted = True

    def leave(self) -> None:
        """The client goes."""
        if not self.is_over:
            self.is_over = True
            if self.on_disconnect is not None:
                self.on_disconnect()


class FakeUpstream:
    def __init__(self) -> None:
        self.content_coding: bytes | None = None
        self.request_bytes_written = True
        self.is_over = False
        self.was_aborted = False
        self.pauses = self.resumes = 0

    def pause(self) -> None:
        self.pauses += 1

    def resume(self) -> None:
        self.resumes += 1

    def abort(self) -> None:
        if not self.is_over:
            self.is_over = self.was_aborted = True


@dataclass
class FakeLedger:
    resolutions: list[Settlement | Void] = field(default_factory=list)

    def settle(self, settlement: Settlement) -> None:
        self.resolutions.append(settlement)

    def void(self, void: Void) -> None:
        self.resolutions.append(void)


def holder(**group: Any) -> Holder:
    """A student in a group as told."""
    fields: dict[str, Any] = {
        "id": "grp_a", "workspace_id": "wsp_default", "name": "a", "title": "", "zone": UTC, "each": (LIMIT,),
        "shared": (), "models": None, "endpoints": None, "max_output_tokens": None, "min_output_tokens": 1024,
        "patience_s": 0.0, "on_disconnect": "drain", "unknown_parameters": "refuse", "show_shared": False,
        "state": "active",
    } | group  # fmt: skip
    nothing: dict[str, Any] = {
        "limits": (), "models": None, "endpoints": None, "max_output_tokens": None, "state": "active",
    }  # fmt: skip
    return Holder(
        key=VirtualKey(
            id="key_a", group_id="grp_a", member_id="mem_a", name=None, digest=b"d" * 32, last4="abcd", tags=(),
            expires_at_us=None, **nothing,
        ),
        member=Member(id="mem_a", group_id="grp_a", external_id="1", name=None, email=None, **nothing),
        group=Group(**fields),
        workspace=Workspace(id="wsp_default", zone=UTC),
        directory_version=1,
    )  # fmt: skip


@dataclass
class FakeTap:
    """Listens to a call."""

    heard: bytes = b""
    ended: list[tuple[int | None, bool]] = field(default_factory=list)

    def add(self, piece: bytes) -> None:
        assert not self.ended
        self.heard += piece

    def end(self, http_status: int | None, *, is_stream: bool) -> None:
        self.ended.append((http_status, is_stream))


class Counter:
    """One relay at work, from its dispatch on."""

    def __init__(
        self,
        *,
        model: str = "gpt-4o-mini",
        stream: bool = False,
        drains: Drains | None = None,
        group: dict[str, Any] | None = None,
        tap: FakeTap | None = None,
        **body: Any,
    ) -> None:
        endpoint = EMBEDDINGS if "input" in body else COMPLETIONS if "prompt" in body else CHAT
        asked = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 100}
        tree = {"model": model, **(asked if endpoint is CHAT else {}), **body}
        if stream:
            tree["stream"] = True
        who = holder(**(group or {}))
        policy = policy_of(who)
        course = course_of(
            model, endpoint=endpoint, policy=policy, prices=PRICES, upstream="openai"
        )
        facts = understand(endpoint, tree, pass_unknown=False)
        tokens, cap = bounded(facts, course.price, policy=policy, endpoint=endpoint)
        call = Call(
            request_id="req_1",
            endpoint=endpoint,
            holder=who,
            policy=policy,
            tag=None,
            model=model,
            upstream="openai",
            price=course.price,
            limits=course.limits,
            telling=course.telling,
            terms=course.terms_for(tokens),
            pseudonym=None,
            facts=facts,
            input_tokens=tokens,
            cap=cap,
            prices=PRICES,
        )
        granted_cap = _granted_cap(cap)
        self.granted = Granted(
            request_id="req_1",
            position=1,
            at_us=1,
            cap=granted_cap,
            lowered_by=None,
            held=amounts_at(call.hold(), granted_cap),
            limits=call.limits,
            readings=tuple((0, 0, None, 0) for _ in call.limits),
            queue_ms=0,
        )
        self.bound = self.granted.held
        self.ledger = FakeLedger()
        self.loop = FakeLoop()
        self.drains = drains or Drains(DrainLimits())
        self.exchange = FakeExchange()
        self.upstream = FakeUpstream()
        self.circuit = Circuit()
        self.done = 0
        self.relay = self._relay(
            call=call,
            granted=self.granted,
            exchange=cast("Any", self.exchange),
            began_s=0.0,
            tools=RelayTools(
                ledger=self.ledger,
                drains=self.drains,
                clock=FakeClock(),
                loop=cast("Any", self.loop),
                reply_limits=REPLY_LIMITS,
                credential="sk-real-0123456789",
                circuit=self.circuit,
            ),
            on_done=self._on_done,
            tap=tap,
        )
        self.relay.start(cast("Any", self.upstream))

    def _relay(self, **parts: Any) -> Relay:
        return Relay(**parts)

    def _on_done(self, relay: Relay) -> None:
        self.done += 1

    # ── what an upstream does; nothing once it was given up ──────────────────────────────────────────────────────

    def head(self, status: int = 200, kind: bytes = b"application/json") -> None:
        if not self.upstream.is_over:
            self.relay.on_head(status, [(b"content-type", kind), (b"x-request-id", b"req_up")])

    def data(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.upstream.is_over:
                self.relay.on_data(piece)

    def end(self) -> None:
        if not self.upstream.is_over:
            self.upstream.is_over = True
            self.relay.on_end()

    def fail(self, kind: Any = "reset", *, written: bool = True) -> None:
        if not self.upstream.is_over:
            self.upstream.is_over = True
            self.upstream.request_bytes_written = written
            self.relay.on_error(UpstreamFailure(kind, written))

    def time_out(self) -> None:
        if not self.upstream.is_over:
            self.relay.on_timeout("gap_timeout")

    # ── what came of it ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def resolution(self) -> Settlement | Void:
        """The one there is (M6)."""
        (only,) = self.ledger.resolutions
        return only

    @property
    def settled(self) -> Settlement:
        only = self.resolution
        assert isinstance(only, Settlement)
        return only

    @property
    def is_bound(self) -> bool:
        """Is the bound charged, and flagged?"""
        settled = self.settled
        return settled.charged == self.bound and "unconfirmed" in settled.flags


def _granted_cap(cap: CapWish) -> int:
    return cap.greatest if cap.wanted is None else cap.wanted


USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
COST = 9 * 150 + 5 * 600  # nano-USD, gpt-4o-mini
MODEL = "gpt-4o-mini-2024-07-18"


def chunk(text: str | None = None, **more: Any) -> bytes:
    """An event of a stream."""
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    fields = {"id": "c", "model": MODEL, "choices": [] if text is None else [delta], **more}
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE_CHUNK = chunk(None, usage=USAGE)
STREAM = chunk("", usage=None) + chunk("Grüße") + chunk("!") + USAGE_CHUNK + DONE
SSE = b"text/event-stream"


def reply(**more: Any) -> bytes:
    """A whole reply."""
    fields = {
        "id": "c",
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}],
        "usage": USAGE,
        "service_tier": "default",
        **more,
    }
    return json.dumps(fields).encode()
