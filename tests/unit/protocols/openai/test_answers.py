"""Everything that a model answers is found, and what the reply says of itself is not (section 12)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.gateway.relay_kit import DONE, chunk, reply
from tuckshop.protocols.openai.answers import (
    UnreadableReplyError,
    texts_of_events,
    texts_of_reply,
)


def event(**fields: Any) -> bytes:
    return b"event: x\r\ndata: " + json.dumps(fields).encode() + b"\r\n\r\n"


def joined(data: bytes) -> list[str]:
    said: dict[Any, str] = {}
    for place, text in texts_of_events(data):
        said[place] = said.get(place, "") + text
    return list(said.values())


def test_of_a_whole_reply_only_what_the_model_said_is_text() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": "b"}'}}]
    message = {"role": "assistant", "content": "Hello.", "tool_calls": calls, "refusal": None}
    body = reply(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])

    assert texts_of_reply(body) == ["Hello.", "f", '{"a": "b"}']


def test_pieces_of_a_stream_go_together_by_their_choice() -> None:
    def of(index: int, text: str) -> bytes:
        delta = {"index": index, "delta": {"content": text}, "finish_reason": None}
        return b"data: " + json.dumps({"id": "c", "choices": [delta]}).encode() + b"\n\n"

    data = of(0, "He") + of(1, "Good") + b": still here\n\n" + of(0, "llo") + of(1, "bye")

    assert joined(data + chunk(None, usage={"total_tokens": 3}) + DONE) == ["Hello", "Goodbye"]


def test_a_typed_stream_says_its_texts_and_not_what_was_asked() -> None:
    asked = {"object": "response", "instructions": "Be kind.", "model": "m", "output": []}
    delta = {"type": "response.output_text.delta", "item_id": "i", "output_index": 0}
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hi you"}],
    }
    data = (
        event(type="response.created", response=asked)
        + event(**delta, delta="Hi")
        + event(**delta, delta=" you", obfuscation="x8")
        + event(type="response.completed", response={**asked, "output": [said]})
    )

    assert joined(data) == ["Hi you", "Hi you"]


@pytest.mark.parametrize("data", [b"data: {nonsense\n\n", b'data: {"a": "\xff"}\n\n'])
def test_what_is_no_reply_is_not_taken_for_an_empty_one(data: bytes) -> None:
    with pytest.raises(UnreadableReplyError):
        list(texts_of_events(data))
    with pytest.raises(UnreadableReplyError):
        texts_of_reply(data)
