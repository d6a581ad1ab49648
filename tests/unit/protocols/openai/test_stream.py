"""The stream meter: bytes go by untouched, usage is read, and cuts never matter (M5, section 10)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.usage import Usage
from tuckshop.protocols.openai.stream import StreamMeter


def chunk(**fields: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "delta": {"content": "Hi"}}],
        **fields,
    }


def event(fields: dict[str, Any], end: str = "\n\n") -> bytes:
    return b"data: " + json.dumps(fields).encode() + end.encode()


DELTA = event(chunk(usage=None))
STATED = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
}
USAGE = event(chunk(choices=[], usage=STATED, service_tier="default"))
DONE = b"data: [DONE]\n\n"
EVENT_MAX_BYTES = 1 << 20
READ = Usage(input_tokens=10, cached_tokens=4, cache_write_tokens=3, output_tokens=5)


def meter_of(strip: bool) -> StreamMeter:
    return StreamMeter(strip, event_max_bytes=EVENT_MAX_BYTES)


def relay(stream: bytes, *, strip: bool = True) -> tuple[StreamMeter, bytes]:
    meter = meter_of(strip)
    return meter, meter.feed(stream) + meter.finish()


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r", "\n\r\n", "\r\n\n"])
def test_the_chunk_that_only_we_asked_for_is_taken_out(end: str) -> None:
    pieces = [
        event(chunk(), end),
        event(chunk(choices=[], usage=STATED), end),
        b"data: [DONE]" + end.encode(),
    ]

    meter, passed = relay(b"".join(pieces))

    assert passed == pieces[0] + pieces[2]
    assert meter.usage == READ
    assert meter.model == "gpt-4o-mini-2024-07-18"
    assert meter.done
    assert not meter.error


def test_the_chunk_that_the_client_asked_for_stays() -> None:
    stream = DELTA + USAGE + DONE

    meter, passed = relay(stream, strip=False)

    assert passed == stream
    assert meter.usage == READ
    assert meter.service_tier == "default"


def test_empty_choices_alone_do_not_make_a_usage_chunk() -> None:
    filtered = event(chunk(choices=[], prompt_filter_results=[]))

    meter, passed = relay(filtered + DELTA)

    assert passed == filtered + DELTA
    assert meter.usage is None


def test_usage_in_a_chunk_with_content_counts_and_stays_and_the_last_one_wins() -> None:
    first = event(chunk(usage={"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}))
    last = event(chunk(usage={"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19}))

    meter, passed = relay(first + last + DONE)

    assert passed == first + last + DONE
    assert meter.usage == Usage(input_tokens=10, output_tokens=9)


def test_a_total_above_its_parts_counts_as_output() -> None:
    hidden = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}

    meter, _ = relay(event(chunk(choices=[], usage=hidden)))

    assert meter.usage == Usage(input_tokens=10, output_tokens=30)


@pytest.mark.parametrize(
    "stated", [{}, {"prompt_tokens": 5}, {"prompt_tokens": "5", "completion_tokens": 1}, [], "x", 7]
)
def test_usage_that_nobody_can_read_is_no_usage(stated: Any) -> None:
    meter, _ = relay(DELTA + event(chunk(usage=stated)))

    assert meter.usage is None


def test_absurd_depth_from_the_upstream_is_passed_on_and_is_no_crash() -> None:
    deep = b"data: " + b'{"usage":' * 50_000 + b"{\n\n"

    meter, passed = relay(DELTA + deep + USAGE)

    assert passed == DELTA + deep
    assert meter.usage == READ


def test_text_that_talks_of_usage_is_text() -> None:
    text = '"usage":{"prompt_tokens":1,"completion_tokens":1} "error" [DONE] data: [DONE]\n\n'
    stream = DELTA + event(chunk(choices=[{"delta": {"content": text}}]))

    meter, passed = relay(stream)

    assert passed == stream
    assert meter.usage is None
    assert not meter.done
    assert not meter.error


def test_an_error_event_is_seen_and_loses_what_tells_of_the_account() -> None:
    error = {"error": {"message": "limit in organization org-0123456789abcdef", "code": "x"}}

    meter, passed = relay(DELTA + event(error))

    assert meter.error
    assert b"org-0123" not in passed
    assert json.loads(passed.removeprefix(DELTA + b"data: "))["error"]["code"] == "x"


def test_an_error_that_tells_nothing_is_passed_byte_for_byte() -> None:
    stream = DELTA + event({"error": {"message": "overloaded"}}, "\r\n\r\n")

    meter, passed = relay(stream)

    assert meter.error
    assert passed == stream


def test_comments_and_several_data_lines_are_understood() -> None:
    text = json.dumps(chunk(choices=[], usage=STATED))
    half = text.index('"usage"')
    split = f": here it comes\nevent: x\ndata: {text[:half]}\ndata:{text[half:]}\n\n".encode()

    meter, passed = relay(b": ping\n\n" + DELTA + split + DONE)

    assert passed == b": ping\n\n" + DELTA + DONE
    assert meter.usage == READ


def test_an_event_leaves_with_its_last_byte() -> None:
    meter = meter_of(True)

    assert meter.feed(DELTA) == DELTA
    assert meter.feed(DELTA[:-1]) == b""
    assert meter.feed(b"\n") == DELTA
    assert meter.feed(DELTA + DELTA + DELTA[:9]) == DELTA + DELTA
    assert meter.feed(DELTA[9:-2] + b"\r\n\r") == DELTA[:-2] + b"\r\n\r"
    assert meter.feed(b"\n" + DELTA) == b"\n" + DELTA


def test_the_line_feed_of_a_chunk_that_was_taken_out_goes_with_it() -> None:
    meter = meter_of(True)

    passed = meter.feed(USAGE[:-2] + b"\r\n\r") + meter.feed(b"\n") + meter.feed(DONE)

    assert passed == DONE


def test_a_last_event_without_its_empty_line_is_read() -> None:
    meter, passed = relay(DELTA + USAGE[:-1])

    assert passed == DELTA
    assert meter.usage == READ


def test_an_event_that_is_too_long_is_passed_on_unread_and_ends_the_metering() -> None:
    cumulative = event(chunk(usage=STATED))
    long = b"data: " + b"x" * (EVENT_MAX_BYTES + 1)
    meter = meter_of(True)

    assert meter.feed(cumulative) == cumulative
    assert meter.feed(long) == long
    assert meter.feed(b"tail") == b"tail"
    assert meter.feed(USAGE) == USAGE
    assert meter.finish() == b""
    assert meter.usage is None


_EVENTS = st.sampled_from(
    [
        chunk(), chunk(usage=None), chunk(choices=[], usage=STATED), chunk(choices=[]), chunk(error=None),
        chunk(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
        {"error": {"message": "key sk-proj-abcdefgh12345678"}}, chunk(choices=[{"delta": {"content": "\n ä"}}]),
    ]
).map(json.dumps)  # fmt: skip
_LINES = st.sampled_from(
    [": note", "event: x", "", "data", "data: {", "id: 1", "data: [DONE]", "retry:5"]
)


@st.composite
def sse_streams(draw: st.DrawFn) -> bytes:
    """Streams of known and odd events, with any mixture of line ends, and perhaps cut short."""
    text = ""
    for _ in range(draw(st.integers(0, 6))):
        payload = draw(_EVENTS.map("data: {}".format) | _LINES)
        text += payload + draw(
            st.sampled_from(["\n\n", "\r\n\r\n", "\r\r", "\n", "\r\n\r", "\r\n\n"])
        )
    stream = text.encode()
    return stream[: draw(st.integers(0, len(stream)))] if draw(st.booleans()) else stream


@given(stream=sse_streams(), cuts=st.lists(st.integers(1, 40)), strip=st.booleans())
def test_output_and_usage_do_not_depend_on_how_the_stream_was_cut(
    stream: bytes, cuts: list[int], strip: bool
) -> None:
    whole, expected = relay(stream, strip=strip)
    meter = meter_of(strip)
    passed, rest = b"", stream

    for size in cuts:
        passed += meter.feed(rest[:size])
        rest = rest[size:]
    passed += meter.feed(rest) + meter.finish()

    assert passed == expected
    assert meter.usage == whole.usage
    assert (meter.model, meter.done, meter.error) == (whole.model, whole.done, whole.error)


@given(stream=sse_streams())
def test_byte_by_byte_is_the_same_as_at_once(stream: bytes) -> None:
    whole, expected = relay(stream)
    meter = meter_of(True)

    passed = b"".join(meter.feed(stream[i : i + 1]) for i in range(len(stream))) + meter.finish()

    assert passed == expected
    assert meter.usage == whole.usage


@given(stream=st.binary(max_size=300), cut=st.integers(1, 7))
def test_what_is_no_event_stream_goes_by_untouched(stream: bytes, cut: int) -> None:
    meter = meter_of(True)

    pieces = [meter.feed(stream[i : i + cut]) for i in range(0, len(stream), cut)]

    assert b"".join(pieces) + meter.finish() == stream


# ── which statement is the last word (M5, M9) ────────────────────────────────────────────────────────────────────


def test_usage_in_a_chunk_of_its_own_is_final_even_without_an_end() -> None:
    meter, _ = relay(DELTA + USAGE)

    assert meter.final_usage == READ


def test_usage_so_far_is_final_only_once_the_end_came() -> None:
    so_far = event(chunk(usage=STATED))

    assert relay(DELTA + so_far)[0].final_usage is None
    assert relay(DELTA + so_far + DONE)[0].final_usage == READ
    assert relay(DELTA + USAGE + so_far)[0].final_usage is None


def test_an_event_that_might_have_stated_usage_takes_back_what_was_stated() -> None:
    broken = b'data: {"usage": {"prompt_tokens": 99\n\n'

    assert relay(USAGE + broken + DONE)[0].final_usage is None
    assert relay(broken + USAGE + DONE)[0].final_usage == READ


@given(cuts=st.lists(st.integers(0, 10**6), max_size=6))
def test_whether_there_was_output_does_not_depend_on_cuts(cuts: list[int]) -> None:
    silent = event(chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]))
    for stream, expected in ((silent + DELTA + USAGE + DONE, True), (silent + USAGE + DONE, False)):
        meter = meter_of(True)
        ends = sorted(cut % (len(stream) + 1) for cut in cuts)
        for start, end in zip([0, *ends], [*ends, len(stream)], strict=True):
            meter.feed(stream[start:end])
        meter.finish()
        assert meter.has_output is expected
