"""The relay: whatever happens, and in whatever order, the client gets what came and one charge is made (M5, M6, M9)."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.gateway.relay_kit import (
    COST,
    DONE,
    PRICES,
    SSE,
    STREAM,
    USAGE,
    USAGE_CHUNK,
    WHOLE_MAX_BYTES,
    Counter,
    chunk,
    reply,
)
from tuckshop.domain.errors import KeyPausedError
from tuckshop.domain.reservation import Void
from tuckshop.gateway.drains import DrainLimits, Drains
from tuckshop.gateway.outcome import is_plausible
from tuckshop.pricing.cost import Usage
from tuckshop.protocols.openai.stream import StreamMeter
from tuckshop.upstreams.circuit import REFUSALS_MIN

STRIPPED = STREAM.replace(USAGE_CHUNK, b"")


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(cut % (len(data) + 1) for cut in cuts)
    return [
        data[start:end]
        for start, end in zip([0, *ends], [*ends, len(data)], strict=True)
        if start < end
    ]


# ── how the bytes are cut ────────────────────────────────────────────────────────────────────────────────────────


@given(
    cuts=st.lists(st.integers(0, 10**6), max_size=12),
    is_stream=st.booleans(),
    coding=st.sampled_from([None, b"gzip", b"deflate"]),
)
@settings(deadline=None, max_examples=100)
def test_cuts_change_neither_the_answer_nor_the_charge(
    cuts: list[int], is_stream: bool, coding: bytes | None
) -> None:
    body, expected = (STREAM, STRIPPED) if is_stream else (reply(), reply())
    sent = {None: body, b"gzip": gzip.compress(body), b"deflate": zlib.compress(body)}[coding]
    counter = Counter(stream=is_stream)
    counter.upstream.content_coding = coding

    counter.head(kind=SSE if is_stream else b"application/json")
    counter.data(*cut_up(sent, cuts))
    counter.end()

    assert counter.exchange.status == 200
    assert counter.exchange.received == expected
    assert counter.exchange.is_over
    assert counter.settled.charged.cost_nano == COST
    assert counter.settled.flags == frozenset()


@pytest.mark.parametrize("step", [1, 1000, 65536, 10**8])
def test_a_reply_too_long_to_be_kept_is_passed_on_and_charged(step: int) -> None:
    body = reply(choices=[{"message": {"content": "x" * WHOLE_MAX_BYTES}}])
    counter = Counter()

    counter.head()
    step = max(step, len(body) // 2000)
    counter.data(*(body[at : at + step] for at in range(0, len(body), step)))
    counter.end()

    assert counter.exchange.received == body
    assert counter.settled.charged.cost_nano == COST


def test_the_body_is_given_back_once_the_upstream_answers() -> None:
    """E7: a stream of minutes does not keep what was asked among the bodies in memory."""
    counter = Counter(stream=True)
    assert counter.exchange.has_body

    counter.head()

    assert not counter.exchange.has_body


# ── any order of events ──────────────────────────────────────────────────────────────────────────────────────────

EVENTS = [
    "head_stream", "head_json", "head_500", "head_401", "delta", "usage", "done", "rubbish", "end", "reset",
    "deadline", "never_sent", "time_out", "leave", "cut", "cancel", "ring", "pause",
]  # fmt: skip


def play(counter: Counter, event: str, has_head: bool) -> bool:
    """Let *event* happen where it can. Returns whether the reply has a head now."""
    heads: dict[str, tuple[int, bytes]] = {
        "head_stream": (200, SSE),
        "head_json": (200, b"application/json"),
        "head_500": (500, b"application/json"),
        "head_401": (401, b"text/html"),
    }
    pieces = {
        "delta": chunk("x"),
        "usage": USAGE_CHUNK,
        "done": DONE,
        "rubbish": b'data: {"error":\xff',
    }
    if event in heads and not has_head:
        counter.head(*heads[event])
        return True
    if event in pieces and has_head:
        counter.data(pieces[event])
    elif event == "end" and has_head:
        counter.end()
    elif event in ("reset", "deadline"):
        counter.fail(event)
    elif event == "never_sent" and not has_head:
        counter.fail("refused", written=False)
    elif event == "time_out":
        counter.time_out()
    elif event == "leave":
        counter.exchange.leave()
    elif event == "cut":
        counter.relay.cut(KeyPausedError())
    elif event == "cancel":
        counter.relay.cancel("shutdown")
    elif event == "ring":
        counter.loop.ring()
    elif event == "pause" and counter.exchange.on_pause is not None:
        counter.exchange.on_pause()
    return has_head


@given(
    events=st.lists(st.sampled_from(EVENTS), max_size=14),
    on_disconnect=st.sampled_from(["drain", "cancel"]),
    places=st.integers(0, 2),
)
@settings(deadline=None, max_examples=300)
def test_every_order_of_events_ends_in_one_resolution(
    events: list[str], on_disconnect: str, places: int
) -> None:
    drains = Drains(DrainLimits(all=places, per_member=places))
    counter = Counter(stream=True, drains=drains, group={"on_disconnect": on_disconnect})
    has_head = False
    for event in events:
        has_head = play(counter, event, has_head)
        assert len(counter.ledger.resolutions) == counter.done <= 1
    counter.relay.cancel("shutdown")

    resolution = counter.resolution
    assert counter.done == 1
    assert counter.upstream.is_over
    assert counter.exchange.is_over
    assert counter.exchange.on_disconnect is None
    assert all(timer.is_cancelled for *_, timer in counter.loop.timers)
    assert all(drains.enter("mem_a") for _ in range(places)), "a place was not given back"
    if isinstance(resolution, Void):
        assert not counter.upstream.request_bytes_written or "head_401" in events
    elif "unconfirmed" in resolution.flags:
        assert resolution.charged == counter.bound
    else:
        assert resolution.charged.cost_nano == COST


# ── a client that leaves ─────────────────────────────────────────────────────────────────────────────────────────


@given(at=st.integers(0, len(STREAM)), is_stream=st.booleans())
@settings(deadline=None, max_examples=100)
def test_a_client_that_leaves_at_any_byte_is_charged_what_was_used(
    at: int, is_stream: bool
) -> None:
    body = STREAM if is_stream else reply()
    counter = Counter(stream=is_stream)

    counter.head(kind=SSE if is_stream else b"application/json")
    counter.data(body[:at])
    counter.exchange.leave()
    counter.data(body[at:])
    counter.end()

    assert not counter.upstream.was_aborted
    assert counter.settled.charged.cost_nano == COST
    assert counter.settled.flags == {"client_left"}


def test_a_client_that_leaves_before_anything_was_sent_owes_nothing() -> None:
    counter = Counter()
    counter.upstream.request_bytes_written = False

    counter.exchange.leave()

    assert counter.upstream.was_aborted
    assert isinstance(counter.resolution, Void)  # M10
    assert counter.resolution.flags == {"client_left"}


def test_who_leaves_before_the_answer_gives_the_turn_at_an_open_circuit_back() -> None:
    """Section 10: whoever always leaves keeps nobody out."""
    counter = Counter()
    for _ in range(REFUSALS_MIN):
        counter.circuit.refused(0.0)
    assert counter.circuit.lets_through(100.0)

    counter.upstream.request_bytes_written = False
    counter.exchange.leave()

    assert counter.circuit.lets_through(100.0)


@pytest.mark.parametrize("limits", [DrainLimits(all=1), DrainLimits(per_member=1)])
def test_without_a_place_to_drain_the_upstream_is_cut_off_and_the_bound_charged(
    limits: DrainLimits,
) -> None:
    drains = Drains(limits)
    first, second = Counter(stream=True, drains=drains), Counter(stream=True, drains=drains)

    for counter in (first, second):
        counter.head(kind=SSE)
        counter.exchange.leave()

    assert not first.ledger.resolutions
    assert second.upstream.was_aborted
    assert second.is_bound


def test_a_drain_ends_in_time() -> None:
    counter = Counter(stream=True)
    counter.head(kind=SSE)
    counter.exchange.leave()

    counter.loop.ring()

    assert counter.upstream.was_aborted
    assert counter.is_bound


def test_cancel_cuts_the_upstream_off_at_once_and_charges_what_it_has_told() -> None:
    group = {"on_disconnect": "cancel"}
    early, late = Counter(stream=True, group=group), Counter(stream=True, group=group)
    for counter, told in ((early, chunk("x")), (late, chunk("x") + USAGE_CHUNK)):
        counter.head(kind=SSE)
        counter.data(told)
        counter.exchange.leave()
        assert counter.upstream.was_aborted

    assert early.is_bound
    assert late.settled.charged.cost_nano == COST


# ── upstreams that fail ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("told", [USAGE_CHUNK, USAGE_CHUNK + DONE, chunk("x", usage=USAGE) + DONE])
def test_usage_that_came_before_the_break_is_charged_exactly(told: bytes) -> None:
    counter = Counter(stream=True)

    counter.head(kind=SSE)
    counter.data(chunk("x") + told)
    counter.fail()

    assert counter.settled.charged.cost_nano == COST
    assert counter.settled.outcome.error == "reset"


@pytest.mark.parametrize("ends_cleanly", [True, False])
def test_usage_so_far_of_a_stream_that_is_cut_is_not_what_it_used(ends_cleanly: bool) -> None:
    counter = Counter(stream=True)

    counter.head(kind=SSE)
    counter.data(chunk("x", usage=USAGE | {"completion_tokens": 1, "total_tokens": 10}))
    if ends_cleanly:
        counter.end()
    else:
        counter.fail()

    assert counter.is_bound


def test_an_upstream_that_is_slow_is_told_to_the_client_and_read_to_its_end() -> None:
    counter = Counter()

    counter.time_out()
    assert counter.exchange.status == 504
    assert counter.loop.timers == []  # the deadline of the whole call is the upstream's
    counter.head()
    counter.data(reply())
    counter.end()

    assert counter.settled.charged.cost_nano == COST
    assert counter.settled.outcome.http_status == 504


def test_a_slow_upstream_costs_the_bound_only_at_the_last_deadline() -> None:
    counter = Counter()
    counter.time_out()

    counter.fail("deadline")

    assert counter.is_bound


@pytest.mark.parametrize("status", [401, 403])
def test_a_door_that_is_shut_costs_nothing_whoever_shut_it(status: int) -> None:
    counter = Counter()

    counter.head(status, b"text/html")
    counter.data(b"<html>no</html>")
    counter.end()

    assert isinstance(counter.resolution, Void)
    assert counter.exchange.status == 502
    assert counter.exchange.headers[b"x-should-retry"] == b"false"


def test_a_fault_of_ours_behind_the_reply_charges_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Section 8: every way out reaches the one resolution."""
    counter = Counter()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("tuckshop.gateway.outcome.charge_reported", fail)
    counter.head()
    counter.data(reply())
    with pytest.raises(RuntimeError):
        counter.end()

    assert counter.is_bound
    assert counter.done == 1


# ── what a reply says of itself ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize(("tier", "halves"), [("priority", 5), ("ultrafast", 12), ("novel", 2)])
def test_a_dearer_tier_is_charged_at_the_most_it_can_cost(
    tier: str, halves: int, is_stream: bool
) -> None:
    """More than the bound, if need be: nobody is charged less than the provider bills (M5)."""
    usage = {"prompt_tokens": 9, "completion_tokens": 100, "total_tokens": 109}
    counter = Counter(stream=is_stream)

    counter.head(kind=SSE if is_stream else b"application/json")
    if is_stream:
        counter.data(chunk("x"), chunk(None, usage=usage, service_tier=tier), DONE)
    else:
        counter.data(reply(usage=usage, service_tier=tier))
    counter.end()

    assert counter.settled.charged.cost_nano == -(-(9 * 150 + 100 * 600) * halves // 2)
    assert counter.settled.charged.output_tokens == 100
    assert counter.settled.flags == {"estimated"}


def test_the_model_that_answered_is_known_of_a_long_reply_too() -> None:
    body = reply(
        model="gpt-4o-2024-08-06", choices=[{"message": {"content": "x" * WHOLE_MAX_BYTES}}]
    )
    counter = Counter()

    counter.head()
    counter.data(body)
    counter.end()

    assert counter.settled.charged.cost_nano == 9 * 2500 + 5 * 10_000


@pytest.mark.parametrize("is_stream", [True, False])
def test_no_output_in_the_usage_of_an_answer_that_was_seen_is_no_usage(is_stream: bool) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}
    counter = Counter(stream=is_stream)

    counter.head(kind=SSE if is_stream else b"application/json")
    counter.data(
        *([chunk("x"), chunk(None, usage=usage), DONE] if is_stream else [reply(usage=usage)])
    )
    counter.end()

    assert counter.is_bound


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("echo", [True, False])
def test_text_of_a_completion_is_output_unless_it_may_be_the_prompt_again(
    is_stream: bool, echo: bool
) -> None:
    """M9: numbers at odds with what was seen are not charged by."""
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}
    said = {"choices": [{"text": "Hi"}], "usage": usage}
    counter = Counter(model="gpt-3.5-turbo-instruct", prompt="Hi", echo=echo, stream=is_stream)

    counter.head(kind=SSE if is_stream else b"application/json")
    pieces = [b"data: " + reply(choices=said["choices"], usage=None) + b"\n\n"]
    pieces += [chunk(None, usage=usage), DONE]
    counter.data(*(pieces if is_stream else [reply(**said)]))
    counter.end()

    if echo:
        assert counter.settled.charged.cost_nano == 9 * 1500
    else:
        assert counter.is_bound


def test_what_was_held_is_plausible_though_it_is_more_than_the_window_of_the_price_list() -> None:
    """M5: of a compatible upstream's models no window is known; what nobody could have held is still no usage."""
    counter = Counter()
    price = PRICES.find("gpt-4o-mini")
    assert price is not None
    held = replace(counter.granted.held, input_tokens=900_000)
    granted = replace(counter.granted, held=held)

    def may_be(tokens: int) -> bool:
        return is_plausible(Usage(input_tokens=tokens, output_tokens=9), price, granted)

    assert may_be(900_000)
    assert not may_be(900_001)


@pytest.mark.parametrize("is_stream", [True, False])
def test_zero_is_a_value_where_nothing_was_said(is_stream: bool) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}
    silent = {"choices": [{"message": {"content": ""}}], "usage": usage}
    counter = Counter(stream=is_stream)

    counter.head(kind=SSE if is_stream else b"application/json")
    counter.data(*([chunk(""), chunk(None, usage=usage), DONE] if is_stream else [reply(**silent)]))
    counter.end()

    assert counter.settled.charged.cost_nano == 9 * 150
    assert counter.settled.flags == frozenset()


@pytest.mark.parametrize("kind", [b"Text/Event-Stream", b"text/event-stream; charset=utf-8"])
def test_a_stream_is_known_however_its_type_is_written(kind: bytes) -> None:
    counter = Counter(stream=True)

    counter.head(kind=kind)
    counter.data(chunk("x"))

    assert counter.exchange.received == chunk("x")


@pytest.mark.parametrize(
    ("wish", "told"), [({}, b"50"), ({"max_tokens": 100}, b"50"), ({"max_tokens": 20}, None)]
)
def test_a_cap_that_the_policy_lowers_is_told(wish: dict[str, int], told: bytes | None) -> None:
    fields: dict[str, Any] = {"max_tokens": None} | wish
    counter = Counter(group={"max_output_tokens": 50}, **fields)

    counter.head()
    counter.data(reply())
    counter.end()

    assert counter.exchange.headers.get(b"x-tuckshop-output-cap") == told


# ── compressed replies ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"br", b"whatever"),
        (b"gzip", b"no gzip at all"),
        (b"gzip", gzip.compress(reply())[:-12]),
        (b"gzip", gzip.compress(b"0" * (20 << 20))),
        (b"gzip", gzip.compress(reply()) + b"more"),
    ],
    ids=["unknown", "rubbish", "cut", "bomb", "more"],
)
def test_a_reply_that_cannot_be_decoded_is_502_and_costs_the_bound(
    coding: bytes, body: bytes
) -> None:
    counter = Counter()
    counter.upstream.content_coding = coding

    counter.head()
    counter.data(body)
    counter.end()

    assert counter.is_bound
    assert counter.exchange.is_over
    assert counter.exchange.status == 502 or counter.exchange.was_aborted


def test_an_error_that_comes_compressed_is_read() -> None:
    error: dict[str, Any] = {"message": "no", "type": "x", "param": None, "code": "bad"}
    counter = Counter()
    counter.upstream.content_coding = b"gzip"

    counter.head(400)
    counter.data(gzip.compress(json.dumps({"error": error}).encode()))
    counter.end()

    assert isinstance(counter.resolution, Void)
    assert json.loads(counter.exchange.received)["error"]["code"] == "bad"


@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_of_ours_at_the_end_is_told_and_charged_the_bound(
    stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M9, section 8: whatever goes wrong here, nobody waits for an end that does not come."""
    counter = Counter(stream=stream)
    if stream:
        monkeypatch.setattr(StreamMeter, "final_usage", property(broken))
    else:
        monkeypatch.setattr("tuckshop.gateway.relay.usage_of", broken)

    counter.head(kind=SSE if stream else b"application/json")
    counter.data(STREAM if stream else reply())
    with pytest.raises(LookupError):
        counter.end()

    assert counter.exchange.is_over
    assert b"server_busy" in counter.exchange.received
    assert counter.is_bound


def broken(*_: object) -> None:
    raise LookupError
