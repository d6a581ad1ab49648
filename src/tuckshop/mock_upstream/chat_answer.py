"""
The made-up model's answer to a chat request, and how it reads as one reply or as a stream of chunks.

An answer is pieces, a token each, so what it says and what it bills cannot drift apart. Members and their order are
those of the real replies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tuckshop.mock_upstream.chat_request import ChatRequest
from tuckshop.mock_upstream.markers import number
from tuckshop.mock_upstream.schema_answer import matching
from tuckshop.mock_upstream.tokens import prose, seed_of, split_text

Frame = tuple[int, bytes]  # (output tokens generated up to and with this, what is sent)

_PADDING: Final = "hU3x9QvK2mZr7TfWc5Ld"
_THOUGHT: Final = {"none": 0, "minimal": 0, "low": 64, "medium": 128, "high": 256, "xhigh": 512}
_encode: Final = msgspec.json.encode


@dataclass(slots=True, kw_only=True)
class Choice:
    """One of the answers that were asked for."""

    index: int
    pieces: list[str]  # a token each; empty: generated, then cut off by a stop sequence
    finish_reason: str
    reasoning_tokens: int = 0
    called: str | None = None  # the function called; the pieces are its arguments
    call_kind: str = "function"
    call_id: str = ""

    @property
    def tokens(self) -> int:
        return self.reasoning_tokens + len(self.pieces) + (self.called is not None)


@dataclass(slots=True, kw_only=True)
class Answer:
    """All of a reply that does not depend on how it is sent."""

    request: ChatRequest
    id: str
    created: int
    model: str
    service_tier: str
    choices: list[Choice]
    cached_tokens: int
    cache_write_tokens: int
    distort: Callable[[dict[str, Any]], Any] | None = None  # what a script makes of the usage

    def usage(self, output_tokens: int) -> Any:
        """What the reply says of its first *output_tokens*."""
        usage = usage_of(self, output_tokens)
        if self.distort is None:
            return usage
        # By `json`, since a script's numbers may be larger than msgspec's.
        return msgspec.Raw(json.dumps(self.distort(usage)).encode())

    @property
    def output_tokens(self) -> int:
        return sum(choice.tokens for choice in self.choices)

    @property
    def fingerprint(self) -> str | None:
        return None if self.request.model.reasons else f"fp_{seed_of(self.model):010x}"


def make_answer(
    request: ChatRequest, *, number_: str, created: int, cached_tokens: int, cache_write_tokens: int
) -> Answer:
    """The answer to *request*: the same choices for the same request, in every process."""
    return Answer(
        request=request,
        id=f"chatcmpl-{number_}",
        created=created,
        model=request.model.answers_as,
        service_tier=request.service_tier,
        choices=[_choice(request, index, number_) for index in range(request.choices)],
        cached_tokens=cached_tokens,
        cache_write_tokens=cache_write_tokens,
    )


def usage_of(answer: Answer, total: int) -> dict[str, Any]:
    """The true usage object of *answer* when *total* tokens of it are generated."""
    reasoning = sum(choice.reasoning_tokens for choice in answer.choices)
    input_tokens = answer.request.input_tokens
    details = {"cached_tokens": answer.cached_tokens, "audio_tokens": 0}
    if answer.request.model.counts_cache_writes:
        details["cache_write_tokens"] = answer.cache_write_tokens
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": total,
        "total_tokens": input_tokens + total,
        "prompt_tokens_details": details,
        "completion_tokens_details": {
            "reasoning_tokens": min(reasoning, total),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(request: ChatRequest, index: int, number_: str) -> Choice:
    given, markers = request.given, request.markers
    seed = seed_of(request.prompt) + index
    cap = request.output_cap
    reasoning = min(_thought(request), cap)
    called = _called(request)
    asked = number(markers, "tokens")
    if called is not None:
        kind, name, schema = called
        text = json.dumps(matching(schema, seed)) if kind != "custom" else "".join(prose(seed, 8))
        pieces = split_text(text)
    elif (form := given.get("response_format", {}).get("type", "text")) != "text":
        schema = given["response_format"].get("json_schema", {}).get("schema")
        value = {"answer": "".join(prose(seed, 12))} if schema is None else matching(schema, seed)
        kind, name, pieces = form, None, split_text(json.dumps(value, ensure_ascii=False))
    elif "echo" in markers:
        kind, name, pieces = "text", None, split_text(markers["echo"])
    else:
        length = 16 + seed % 48 if asked is None else max(0, int(asked))
        # One more than the cap lets through is enough to see that it cut the answer.
        kind, name, pieces = "text", None, prose(seed, min(length, cap + 1))
    room = max(0, cap - reasoning - (name is not None))
    finish = "stop" if name is None else {"functions": "function_call"}.get(kind, "tool_calls")
    if len(pieces) > room:
        pieces, finish = pieces[:room], "length"
    if name is None and given.get("stop"):
        pieces, finish = _stopped(pieces, given["stop"], finish)
    return Choice(
        index=index,
        pieces=pieces,
        finish_reason=finish,
        reasoning_tokens=reasoning,
        called=name if cap > reasoning else None,
        call_kind=kind,
        call_id=f"call_{number_[-18:]}{index}",
    )


def _thought(request: ChatRequest) -> int:
    """How long the model thinks: in steps of 64 tokens, as the real ones count it."""
    if not request.model.reasons:
        return 0
    asked = number(request.markers, "reasoning")
    if asked is not None:
        return max(0, int(asked))
    return _THOUGHT[request.given.get("reasoning_effort", "medium")]


def _called(request: ChatRequest) -> tuple[str, str, Any] | None:
    """(kind, name, schema) of the tool that the model calls, or None. A tool's result is answered in prose."""
    given = request.given
    choice = given.get("tool_choice", given.get("function_call", "auto"))
    forced = choice == "required" or isinstance(choice, dict)
    if choice == "none" or (request.last_role in ("tool", "function") and not forced):
        return None
    tools = [
        (tool["type"], tool.get(tool["type"], {}))
        for tool in given.get("tools", [])
        if tool["type"] == "function" or not request.stream
    ]
    tools += [("functions", function) for function in given.get("functions", [])]
    if isinstance(choice, dict):
        wanted = choice.get("function") or choice.get("custom") or choice
        name = wanted.get("name") if isinstance(wanted, dict) else None
        tools = [tool for tool in tools if tool[1].get("name") == name] or tools
    if not tools:
        return None
    kind, definition = tools[0]
    schema = definition.get("parameters", {"type": "object", "properties": {}})
    return kind, str(definition.get("name", "")), schema


def _stopped(pieces: list[str], stop: str | list[str], finish: str) -> tuple[list[str], str]:
    """*pieces* up to the first stop sequence; what was generated behind its beginning says nothing but counts."""
    text = "".join(pieces)
    found = [
        (at, at + len(word))
        for word in ([stop] if isinstance(stop, str) else stop)
        if word and (at := text.find(word)) >= 0
    ]
    if not found:
        return pieces, finish
    at, end = min(found)
    kept: list[str] = []
    begin = 0
    for piece in pieces:
        if begin >= end:
            break
        kept.append(text[begin : min(begin + len(piece), at)] if begin < at else "")
        begin += len(piece)
    return kept, "stop"


def reply_object(answer: Answer) -> dict[str, Any]:
    """The reply of a request that does not stream."""
    return {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [_reply_choice(answer, choice) for choice in answer.choices],
        "usage": answer.usage(answer.output_tokens),
        "service_tier": answer.service_tier,
        "system_fingerprint": answer.fingerprint,
    }


def _reply_choice(answer: Answer, choice: Choice) -> dict[str, Any]:
    text = "".join(choice.pieces)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if choice.called is not None else text,
        "refusal": None,
        "annotations": [],
    }
    if choice.called is not None:
        if choice.call_kind == "functions":
            message["function_call"] = {"name": choice.called, "arguments": text}
        elif choice.call_kind == "custom":
            custom = {"name": choice.called, "input": text}
            message["tool_calls"] = [{"id": choice.call_id, "type": "custom", "custom": custom}]
        else:
            function = {"name": choice.called, "arguments": text}
            message["tool_calls"] = [
                {"id": choice.call_id, "type": "function", "function": function}
            ]
    logprobs = None
    if answer.request.given.get("logprobs") and choice.called is None:
        content = [_logprob(answer, piece) for piece in choice.pieces if piece]
        logprobs = {"content": content, "refusal": None}
    return {
        "index": choice.index,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": choice.finish_reason,
    }


def _logprob(answer: Answer, piece: str) -> dict[str, Any]:
    top = [
        {"token": word, "logprob": -0.25 * (rank + 1), "bytes": list(word.encode())}
        for rank, word in enumerate([piece, " the", " a", " one", " no"][: _tops(answer)])
    ]
    return {
        "token": piece,
        "logprob": -0.25,
        "bytes": list(piece.encode()),
        "top_logprobs": top,
    }


def _tops(answer: Answer) -> int:
    return int(answer.request.given.get("top_logprobs", 0))


def stream_frames(answer: Answer, *, usage: str = "last") -> Iterator[Frame]:
    """
    The chunks of a stream, each with the tokens generated up to it.

    Args:
        usage: Where the usage object stands: "last" (as OpenAI: in a chunk of its own, if it was asked for), "finish"
            (in the chunk with the finish reason), "every" (in every chunk, cumulative), "absent".
    """
    chunks = _Chunks(answer, usage)
    tokens = 0
    for choice in answer.choices:
        for _ in range(choice.reasoning_tokens):
            tokens += 1
            yield tokens, b""
    for choice in answer.choices:
        tokens += choice.called is not None
        yield tokens, chunks.delta(choice, _first_delta(choice), tokens)
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
    yield tokens, b"data: [DONE]\n\n"


def _first_delta(choice: Choice) -> dict[str, Any]:
    delta: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
    if choice.called is not None:
        delta["content"] = None
        function = {"name": choice.called, "arguments": ""}
        if choice.call_kind == "functions":
            delta["function_call"] = function
        else:
            delta["tool_calls"] = [
                {"index": 0, "id": choice.call_id, "type": "function", "function": function}
            ]
    return delta


class _Chunks:
    """Writes the chunks of one stream; what they have in common is written once."""

    def __init__(self, answer: Answer, usage: str) -> None:
        self.answer = answer
        self.usage = usage
        head = {
            "id": answer.id,
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": answer.model,
            "service_tier": answer.service_tier,
            "system_fingerprint": answer.fingerprint,
        }
        self.head = b"data: " + _encode(head)[:-1] + b',"choices":['
        self.says_null = answer.request.wants_usage and usage == "last"
        self.has_logprobs = bool(answer.request.given.get("logprobs"))
        self.plain = usage != "every" and not self.has_logprobs

    def piece(self, choice: Choice, piece: str, tokens: int) -> bytes:
        if choice.called is None and self.plain:  # the many: no dict is built for them
            return (
                b'%b{"index":%d,"delta":{"content":%b},"logprobs":null,"finish_reason":null}]%b'
                % (
                    self.head,
                    choice.index,
                    _encode(piece),
                    self._tail(tokens, len(piece)),
                )
            )
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
            logprobs = {"content": [_logprob(self.answer, piece)], "refusal": None}
        body = {
            "index": choice.index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": None,
        }
        return self.head + _encode(body) + b"]" + self._tail(tokens, len(piece))

    def finish(self, choice: Choice, tokens: int, *, last: bool) -> bytes:
        body = {
            "index": choice.index,
            "delta": {},
            "logprobs": None,
            "finish_reason": choice.finish_reason,
        }
        with_usage = self.usage == "every" or (self.usage == "finish" and last)
        return self.head + _encode(body) + b"]" + self._tail(tokens, 0, with_usage=with_usage)

    def usage_alone(self, tokens: int) -> bytes:
        return self.head + b"]" + self._tail(tokens, None, with_usage=True)

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
