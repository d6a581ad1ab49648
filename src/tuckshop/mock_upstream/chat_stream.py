"""A chat answer as a stream of chunks. Members and their order are those of the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tuckshop.mock_upstream.chat_answer import Answer, Choice
from tuckshop.mock_upstream.chat_reply import logprob

Frame = tuple[int, bytes]  # (output tokens generated up to and with this, what is sent)

DONE: Final = b"data: [DONE]\n\n"
_PADDING: Final = "hU3x9QvK2mZr7TfWc5Ld"
_encode: Final = msgspec.json.encode


def stream_frames(answer: Answer, *, usage: str = "last") -> Iterator[Frame]:
    """
    The chunks of a stream, each with the tokens generated up to it; b"" where a token says nothing.

    Args:
        usage: Where the usage object stands: "last" (as OpenAI: in a chunk of its own, if it was asked for), "finish"
            (in the chunk with the finish reason), "every" (in every chunk, cumulative), "absent".
    """
    head = _head(answer)
    tails = answer.thought.stream_tails if answer.is_as_thought else None
    if tails is None:
        tails = list(_tails(answer, usage))
        if answer.is_as_thought:
            answer.thought.stream_tails = tails
    for tokens, tail in tails:
        yield tokens, head + tail if tail else b""
    yield tails[-1][0], DONE


def _head(answer: Answer) -> bytes:
    """What all chunks begin with."""
    head = {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
        "service_tier": answer.service_tier,
        "system_fingerprint": answer.fingerprint,
    }
    return b"data: " + _encode(head)[:-1] + b',"choices":['


def _tails(answer: Answer, usage: str) -> Iterator[Frame]:
    """What each chunk goes on with."""
    chunks = _Chunks(answer, usage)
    tokens = 0
    for choice in answer.choices:
        for _ in range(choice.reasoning_tokens):
            tokens += 1
            yield tokens, b""
    for choice in answer.choices:
        tokens += choice.called is not None
        yield tokens, chunks.delta(choice, _first_delta(answer, choice), tokens)
    for at in range(max(len(choice.pieces) for choice in answer.choices)):
        for choice in answer.choices:
            if at < len(choice.pieces):
                tokens += 1
                piece = choice.pieces[at]
                yield tokens, chunks.piece(choice, piece, tokens) if piece else b""
    for choice in answer.choices:
        yield tokens, chunks.finish(choice, tokens, last=choice is answer.choices[-1])
    if usage == "last" and answer.request.wants_usage:
        yield tokens, chunks.usage_alone(tokens)


def _first_delta(answer: Answer, choice: Choice) -> dict[str, Any]:
    delta: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
    if choice.called is not None:
        delta["content"] = None
        function = {"name": choice.called, "arguments": ""}
        if choice.call_kind == "functions":
            delta["function_call"] = function
        else:
            delta["tool_calls"] = [
                {"index": 0, "id": answer.call_id(choice), "type": "function", "function": function}
            ]
    return delta


class _Chunks:
    """Writes the chunks of one stream; what they have in common is written once."""

    def __init__(self, answer: Answer, usage: str) -> None:
        self.answer = answer
        self.usage = usage
        self.says_null = answer.request.wants_usage and usage == "last"
        self.has_logprobs = bool(answer.request.given.get("logprobs"))

    def piece(self, choice: Choice, piece: str, tokens: int) -> bytes:
        if choice.called is None:
            delta: dict[str, Any] = {"content": piece}
        elif choice.call_kind == "functions":
            delta = {"function_call": {"arguments": piece}}
        else:
            delta = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        return self.delta(choice, delta, tokens, piece if choice.called is None else "")

    def delta(self, choice: Choice, delta: dict[str, Any], tokens: int, piece: str = "") -> bytes:
        logprobs = None
        if self.has_logprobs and piece:
            logprobs = {"content": [logprob(self.answer, piece)], "refusal": None}
        body = {
            "index": choice.index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": None,
        }
        return _encode(body) + b"]" + self._tail(tokens, len(piece))

    def finish(self, choice: Choice, tokens: int, *, last: bool) -> bytes:
        body = {
            "index": choice.index,
            "delta": {},
            "logprobs": None,
            "finish_reason": choice.finish_reason,
        }
        with_usage = self.usage == "every" or (self.usage == "finish" and last)
        return _encode(body) + b"]" + self._tail(tokens, 0, with_usage=with_usage)

    def usage_alone(self, tokens: int) -> bytes:
        return b"]" + self._tail(tokens, None, with_usage=True)

    def _tail(self, tokens: int, length: int | None, *, with_usage: bool | None = None) -> bytes:
        tail = b""
        if self.usage == "every" if with_usage is None else with_usage:
            tail = b',"usage":' + _encode(self.answer.usage(tokens))
        elif self.says_null:
            tail = b',"usage":null'
        if length is not None and self.answer.request.obfuscates:
            padding = _PADDING[: (16 - length) % 17]
            tail += b',"obfuscation":"' + padding.encode() + b'"'
        return tail + b"}\n\n"
