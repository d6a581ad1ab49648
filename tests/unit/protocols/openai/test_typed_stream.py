"""The meter of typed events: settled from the last event, and cuts never matter (M5, section 10)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.errors import KeyPausedError
from tuckshop.domain.usage import Usage
from tuckshop.protocols.openai.facts import BodyFacts
from tuckshop.protocols.openai.reply import ReplyLimits
from tuckshop.protocols.openai.stream import StreamMeter
from tuckshop.protocols.openai.table import route
from tuckshop.protocols.openai.typed_stream import (
    TypedMeter,
    meter_for,
)

STATED = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 15,
}
READ = Usage(input_tokens=10, cached_tokens=4, cache_write_tokens=3, output_tokens=5)


def event(
    kind: str, number: int = 0, *, end: str = "\n", named: bool = True, **fields: Any
) -> bytes:
    text = json.dumps({"type": kind, "sequence_number": number, **fields})
    return (f"event: {kind}{end}" if named else "").encode() + f"data: {text}{end}{end}".encode()


def response(usage: Any = STATED, **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "metadata": {"type": "response.completed", "usage": "{"},
        "usage": usage,
        "user": None,
        **fields,
    }


CREATED = event("response.created", 0, response=response(None, status="in_progress"))
DELTA = event("response.output_text.delta", 1, delta='"type":"response.completed"')
COMPLETED = event("response.completed", 2, response=response())


EVENT_MAX_BYTES = 4 << 20
WHOLE_MAX_BYTES = 1 << 20


def limits(event_max_bytes: int = EVENT_MAX_BYTES) -> ReplyLimits:
    return ReplyLimits(
        event_max_bytes={"chunks": 1, "typed": event_max_bytes}, whole_max_bytes=WHOLE_MAX_BYTES
    )


def meter_of() -> TypedMeter:
    return TypedMeter(limits())


def relay(stream: bytes) -> tuple[TypedMeter, bytes]:
    meter = meter_of()
    return meter, meter.feed(stream) + meter.finish()


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete", "response.failed"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("named", [True, False])
def test_usage_stands_in_the_last_event(kind: str, end: str, named: bool) -> None:
    stream = CREATED + DELTA + event(kind, 2, end=end, named=named, response=response())

    meter, passed = relay(stream)

    assert passed == stream
    assert meter.final_usage == READ
    assert (meter.model, meter.service_tier) == ("gpt-4o-mini-2024-07-18", "default")
    assert meter.done
    assert meter.has_output


def test_a_stream_that_is_cut_tells_no_usage() -> None:
    early = event("response.in_progress", response=response(STATED))

    meter, _ = relay(CREATED + early + DELTA)

    assert meter.final_usage is None
    assert not meter.done


def test_a_failure_without_usage_tells_none_and_loses_what_tells_of_the_account() -> None:
    error = {"code": "server_error", "message": "limit in organization org-0123456789abcdef"}
    failed = event("response.failed", 2, response=response(None, error=error))

    meter, passed = relay(CREATED + failed)

    assert meter.final_usage is None
    assert b"org-0123" not in passed
    assert passed.startswith(CREATED + b"event: response.failed\ndata: {")


@pytest.mark.parametrize(
    "error",
    [
        event("error", 2, code="x", message="in organization org-0123456789abcdef", param=None),
        b'data: {"error":{"message":"in organization org-0123456789abcdef"}}\n\n',
    ],
)
def test_an_error_event_is_seen_and_loses_what_tells_of_the_account(error: bytes) -> None:
    meter, passed = relay(DELTA + error)

    assert meter.error
    assert meter.final_usage is None
    assert b"org-0123" not in passed
    assert b"[removed]" in passed


def test_text_that_talks_of_an_end_is_text() -> None:
    fields = {"type": "error", "error": {}, "usage": STATED}
    stream = event("response.output_item.done", 3, item={"arguments": json.dumps(fields)})
    stream += event("response.created", 4, response=response(STATED, metadata=fields))

    meter, passed = relay(stream)

    assert passed == stream
    assert meter.final_usage is None
    assert not meter.done


@pytest.mark.parametrize("stated", [None, [], {}, "x", {"input_tokens": 5}, {"input_tokens": "5"}])
def test_usage_that_nobody_can_read_is_no_usage(stated: Any) -> None:
    meter, _ = relay(event("response.completed", response=response(stated)))

    assert meter.final_usage is None


def test_of_a_last_event_that_is_too_long_to_be_parsed_the_end_is_read() -> None:
    text = '"usage":{"input_tokens":1,"output_tokens":1}}' * (WHOLE_MAX_BYTES // 40)
    long = event("response.completed", 2, response={"model": "m", "text": text, **response()})
    assert len(long) > WHOLE_MAX_BYTES

    meter, passed = relay(CREATED + long)

    assert passed == CREATED + long
    assert meter.final_usage == READ
    assert meter.model == "gpt-4o-mini-2024-07-18"


def test_a_long_event_that_is_not_the_last_states_nothing() -> None:
    text = "x" * WHOLE_MAX_BYTES
    item = {"text": text, **response(), "error": {}}

    meter, _ = relay(event("response.output_item.done", 2, response=item))

    assert meter.final_usage is None


def test_an_event_that_is_too_long_is_passed_on_unread_and_ends_the_metering() -> None:
    long = b"data: " + b"x" * (EVENT_MAX_BYTES + 1)
    meter = meter_of()

    assert meter.feed(long) == long
    assert meter.feed(b"\n\n" + COMPLETED) == b"\n\n" + COMPLETED
    assert meter.finish() == b""
    assert meter.final_usage is None


@pytest.mark.parametrize("cut", [1, 7, 10_000])
def test_whether_an_event_is_too_long_does_not_depend_on_how_it_was_cut(cut: int) -> None:
    stream = CREATED + DELTA + COMPLETED
    for longest, expected in ((len(COMPLETED), READ), (len(COMPLETED) - 1, None)):
        meter = TypedMeter(limits(longest))

        passed = b"".join(meter.feed(stream[at : at + cut]) for at in range(0, len(stream), cut))

        assert passed + meter.finish() == stream
        assert meter.final_usage == expected


def test_a_refusal_goes_on_counting() -> None:
    meter = meter_of()
    meter.feed(CREATED + event("response.output_text.delta", 41, delta="x"))

    told = meter.refusal(KeyPausedError())

    name, _, data = told.decode().partition("\ndata: ")
    error = json.loads(data)
    assert name == "event: error"
    assert error["type"] == "error"
    assert error["code"] == "key_paused"
    assert error["sequence_number"] == 42
    assert error["message"]


def test_the_meter_is_that_of_the_endpoint() -> None:
    facts = BodyFacts(model="m", stream=True)

    assert isinstance(meter_for(route("POST", "/v1/responses"), facts, limits=limits()), TypedMeter)
    for path in ("/v1/chat/completions", "/v1/completions"):
        assert isinstance(meter_for(route("POST", path), facts, limits=limits()), StreamMeter)


_EVENTS = st.sampled_from(
    [
        CREATED, DELTA, COMPLETED, b": ping\n\n", b"data: [DONE]\n\n", event("error", 5, message="org-0123456789ab"),
        event("response.failed", 3, end="\r\n", response=response(None, error={"message": "sk-0123456789"})),
        event("response.completed", 2, end="\r", response=response()), b"data: {broken\n\n", b"\r\n",
    ]
)  # fmt: skip


@given(
    events=st.lists(_EVENTS, max_size=8),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    lost=st.integers(0, 60),
)
def test_nothing_depends_on_how_the_stream_was_cut(
    events: list[bytes], cuts: list[int], lost: int
) -> None:
    stream = b"".join(events)
    stream = stream[: len(stream) - lost]
    whole, expected = relay(stream)
    pieces = meter_of()

    passed, at, turn = b"", 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        passed += pieces.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    passed += pieces.finish()

    assert passed == expected
    for name in ("final_usage", "model", "service_tier", "done", "error", "has_output"):
        assert getattr(pieces, name) == getattr(whole, name)
