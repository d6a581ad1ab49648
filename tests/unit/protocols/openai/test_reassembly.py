"""A stream that is over, read as the one answer it came to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.protocols.openai.reassembly import answer_of, json_or_text, texts_in


def sse(*payloads: Any, end: str = "\n") -> bytes:
    lines = [f"data: {json.dumps(one)}{end}{end}" for one in payloads]
    return "".join([*lines, f"data: [DONE]{end}{end}"]).encode()


def delta(index: int = 0, finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o-mini",
        "choices": [{"index": index, "delta": said, "finish_reason": finish}],
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_texts_are_joined_and_the_rest_is_said_once(end: str) -> None:
    reply = sse(
        delta(role="assistant", content=""),
        delta(content="Guten "),
        delta(1, content="Hi"),
        delta(content="Tag"),
        delta(finish="stop"),
        {"id": "c1", "choices": [], "usage": {"prompt_tokens": 3}},
        end=end,
    )

    assert answer_of(reply, is_stream=True, events="chunks") == {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o-mini",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Guten Tag"},
                "finish_reason": "stop",
            },
            {"index": 1, "message": {"content": "Hi"}, "finish_reason": None},
        ],
        "usage": {"prompt_tokens": 3},
    }


def test_calls_of_tools_are_laid_together_by_their_index() -> None:
    def call(index: int, **function: str) -> dict[str, Any]:
        return {"index": index, "function": function}

    reply = sse(
        delta(tool_calls=[{**call(0, name="look", arguments=""), "id": "t0", "type": "function"}]),
        delta(tool_calls=[call(0, arguments='{"a"')]),
        delta(tool_calls=[{**call(1, name="go", arguments="{}"), "id": "t1", "type": "function"}]),
        delta(tool_calls=[call(0, arguments=":1}")]),
    )

    answer: Any = answer_of(reply, is_stream=True, events="chunks")
    calls = answer["choices"][0]["message"]["tool_calls"]
    assert [(one["id"], one["function"]) for one in calls] == [
        ("t0", {"name": "look", "arguments": '{"a":1}'}),
        ("t1", {"name": "go", "arguments": "{}"}),
    ]


def test_completions_are_joined_too() -> None:
    reply = sse(*({"choices": [{"index": 0, "text": text}]} for text in ("a", "b")))

    answer = answer_of(reply, is_stream=True, events="chunks")
    assert answer == {"choices": [{"index": 0, "text": "ab"}]}


def test_typed_events_end_with_the_response_which_is_the_answer() -> None:
    response = {"id": "r1", "output": [{"type": "message"}]}
    reply = sse(
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.completed", "response": response},
    )

    assert answer_of(reply, is_stream=True, events="typed") == response


def test_of_typed_events_that_broke_off_the_deltas_are_left() -> None:
    kind = "response.output_text.delta"
    reply = sse(
        {"type": kind, "delta": "a"}, {"type": kind, "delta": "b"}, {"type": "error", "code": "x"}
    )

    assert answer_of(reply, is_stream=True, events="typed") == {
        "status": "broken off",
        "deltas": {kind: "ab"},
        "error": {"code": "x"},
    }


def test_what_is_no_stream_is_the_answer_itself() -> None:
    assert answer_of(b'{"a": 1}', is_stream=False, events="chunks") == {"a": 1}
    assert json_or_text(b"\xff") == "\ufffd"
    assert json_or_text(b"[" * 100_000) == "[" * 100_000


def test_every_text_of_a_value_is_found_and_no_name() -> None:
    assert sorted(texts_in({"n": ["a", {"m": "b"}, 1, None], "o": "c"})) == ["a", "b", "c"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["index", "a", "id"]), inner),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(["choices", "a", "response", "type"]), JSON)))
def test_nothing_that_an_upstream_streams_makes_it_fail(payloads: list[dict[str, Any]]) -> None:
    for events in ("chunks", "typed"):
        answer_of(sse(*payloads), is_stream=True, events=events)
