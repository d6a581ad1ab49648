"""
The made-up model's answer to a chat request: what it says, what it calls, where it stops, what it used.

An answer is pieces, a token each, so what it says and what it bills cannot drift apart.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tuckshop.mock_upstream.chat_request import ChatRequest
from tuckshop.mock_upstream.errors import ApiError
from tuckshop.mock_upstream.markers import marked, number
from tuckshop.mock_upstream.schema_answer import matching
from tuckshop.mock_upstream.tokens import prose, seed_of, split_text

_REMEMBERED_MAX: Final = 512
_REMEMBERED_BODY_MAX_BYTES: Final = 32 << 10
_THOUGHT: Final = {"none": 0, "minimal": 0, "low": 64, "medium": 128, "high": 256, "xhigh": 512}


@dataclass(slots=True, kw_only=True)
class Choice:
    """One of the answers that were asked for."""

    index: int
    pieces: list[str]  # a token each; empty: generated, then cut off by a stop sequence
    finish_reason: str
    reasoning_tokens: int = 0
    called: str | None = None  # the function called; the pieces are its arguments
    call_kind: str = "function"
    echoed: str = ""  # the prompt, where a completion repeats it

    @property
    def tokens(self) -> int:
        return self.reasoning_tokens + len(self.pieces) + (self.called is not None)


@dataclass(slots=True, kw_only=True)
class Thought:
    """A request and its choices, which are the same whenever it comes, and how they read once they were written."""

    request: ChatRequest
    choices: list[Choice]
    thrown_away: list[Choice] = field(default_factory=list)  # generated, and not among the best
    reply_tail: bytes | None = None
    stream_tails: list[tuple[int, bytes]] | None = None


class Thoughts:
    """The thoughts of late, by body. A load run asks the same thing again and again."""

    def __init__(self) -> None:
        self._by_body: OrderedDict[bytes, Thought] = OrderedDict()

    def find(self, body: bytes) -> Thought | None:
        """What was thought of this very *body*."""
        return self._by_body.get(body)

    def keep(self, body: bytes, thought: Thought) -> None:
        """Remember it, if it is small."""
        if len(body) <= _REMEMBERED_BODY_MAX_BYTES:
            self._by_body[body] = thought
            if len(self._by_body) > _REMEMBERED_MAX:
                self._by_body.popitem(last=False)


def think(request: ChatRequest) -> Thought:
    """The answer to *request*: the same for the same request, in every process."""
    return Thought(
        request=request,
        choices=[_choice(request, index) for index in range(request.choices)],
    )


@dataclass(slots=True, kw_only=True)
class Answer:
    """All of a reply that does not depend on how it is sent."""

    thought: Thought
    number: str
    created: int
    model: str
    service_tier: str
    choices: list[Choice]
    cached_tokens: int
    cache_write_tokens: int
    distort: Callable[[dict[str, Any]], Any] | None = None  # what a script makes of the usage
    failed: bool = False  # as a response says at its end
    altered: bool = False  # by a script, so that it is not what was thought

    @property
    def request(self) -> ChatRequest:
        return self.thought.request

    @property
    def id(self) -> str:
        return f"chatcmpl-{self.number}"

    @property
    def is_as_thought(self) -> bool:
        """Whether nothing but its id and its time is its own."""
        return not (
            self.altered
            or self.cached_tokens
            or self.cache_write_tokens
            or any(choice.called is not None for choice in self.choices)
        )

    def call_id(self, choice: Choice) -> str:
        """The id of the tool call that *choice* makes."""
        return f"call_{self.number[-20:]}{choice.index:04d}"

    def usage(self, output_tokens: int) -> Any:
        """What the reply says of its first *output_tokens*."""
        return self.distorted(usage_of(self, output_tokens))

    def distorted(self, usage: dict[str, Any]) -> Any:
        """*usage*, or what a script makes of it."""
        if self.distort is None:
            return usage
        # By `json`, since a script's numbers may be larger than msgspec's.
        return msgspec.Raw(json.dumps(self.distort(usage)).encode())

    @property
    def output_tokens(self) -> int:
        return sum(choice.tokens for choice in (*self.choices, *self.thought.thrown_away))

    @property
    def fingerprint(self) -> str | None:
        return None if self.request.model.reasons else f"fp_{seed_of(self.model):010x}"


def make_answer(
    thought: Thought, *, number_: str, created: int, cached_tokens: int, cache_write_tokens: int
) -> Answer:
    """*thought*, said now."""
    return Answer(
        thought=thought,
        number=number_,
        created=created,
        model=thought.request.model.answers_as,
        service_tier=thought.request.service_tier,
        choices=thought.choices,
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


def _choice(request: ChatRequest, index: int) -> Choice:
    given, markers = request.given, request.markers
    seed = seed_of(request.prompt) + index
    cap = request.output_cap
    reasoning = min(_thought(request), cap)
    called = _called(request)
    asked = number(markers, "tokens")
    if called is not None:
        kind, name, schema = called
        text = json.dumps(_matching(schema, seed)) if kind != "custom" else "".join(prose(seed, 8))
        pieces = split_text(text)
    elif (form := given.get("response_format", {}).get("type", "text")) != "text":
        schema = given["response_format"].get("json_schema", {}).get("schema")
        value = {"answer": "".join(prose(seed, 12))} if schema is None else _matching(schema, seed)
        kind, name, pieces = form, None, split_text(json.dumps(value, ensure_ascii=False))
    elif "echo" in markers:
        kind, name, pieces = "text", None, split_text(marked(markers["echo"]))
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
        if tool["type"] == "function" or request.streams_custom or not request.stream
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


def _matching(schema: Any, seed: int) -> Any:
    try:
        return matching(schema, seed)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ApiError(400, f"Invalid schema: {error}.", param="response_format") from error


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
