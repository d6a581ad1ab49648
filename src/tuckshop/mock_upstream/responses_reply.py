"""An answer in the words of the Responses API: one reply, or a stream of typed events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tuckshop.mock_upstream.chat_answer import Answer, usage_of
from tuckshop.mock_upstream.chat_reply import logprob
from tuckshop.mock_upstream.chat_stream import Frame
from tuckshop.mock_upstream.faults import ORGANISATION

_PADDING: Final = "hU3x9QvK2mZr7TfWc5Ld"
_encode: Final = msgspec.json.encode


def usage_object(answer: Answer, output_tokens: int) -> Any:
    """What the reply says of its first *output_tokens*, as this API names it."""
    told = usage_of(answer, output_tokens)
    details = told["prompt_tokens_details"]
    usage = {
        "input_tokens": told["prompt_tokens"],
        "input_tokens_details": {
            "cached_tokens": details["cached_tokens"],
            "cache_write_tokens": details.get("cache_write_tokens", 0),
        },
        "output_tokens": told["completion_tokens"],
        "output_tokens_details": {
            "reasoning_tokens": told["completion_tokens_details"]["reasoning_tokens"]
        },
        "total_tokens": told["total_tokens"],
    }
    return answer.distorted(usage)


_ERROR: Final = {
    "code": "server_error",
    "message": f"The model failed to generate a response. Organization: {ORGANISATION}.",
}


def response_object(
    answer: Answer, *, status: str, with_output: bool = True, with_usage: bool = True
) -> dict[str, Any]:
    """The response as it stands: at its beginning, or complete."""
    given = answer.request.given
    is_cut = status == "incomplete"
    usage = usage_object(answer, answer.output_tokens) if with_output and with_usage else None
    return {
        "id": f"resp_{answer.number}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": False,
        "completed_at": answer.created if status == "completed" else None,
        "error": _ERROR if status == "failed" else None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "instructions": given.get("instructions"),
        "max_output_tokens": given.get("max_output_tokens"),
        "max_tool_calls": given.get("max_tool_calls"),
        "model": answer.model,
        "output": _output(answer) if with_output else [],
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "prompt_cache_key": given.get("prompt_cache_key"),
        "prompt_cache_retention": given.get("prompt_cache_retention"),
        "reasoning": {
            "effort": given["reasoning_effort"] if answer.request.model.reasons else None,
            "summary": None,
        },
        "safety_identifier": given.get("safety_identifier"),
        "service_tier": answer.service_tier,
        "temperature": given.get("temperature", 1.0) * 1.0,
        "text": {"format": {"type": "text"}, **given.get("text", {})},
        "tool_choice": given.get("tool_choice", "auto")
        if isinstance(given.get("tool_choice", "auto"), str)
        else "auto",
        "tools": [_shown(tool[tool["type"]]) for tool in given["tools"]],
        "top_logprobs": given.get("top_logprobs", 0),
        "top_p": given.get("top_p", 1.0) * 1.0,
        "truncation": given.get("truncation", "disabled"),
        "usage": usage,
        "user": None,
        "metadata": given.get("metadata", {}),
    }


def response_bytes(answer: Answer, *, with_usage: bool = True) -> bytes:
    """The body of the reply to a request that does not stream."""
    return _encode(response_object(answer, status=status_of(answer), with_usage=with_usage))


def response_frames(answer: Answer, *, usage: str = "last") -> Iterator[Frame]:
    """The events of a stream. Usage stands in the last one, wherever a script wants it, or nowhere."""
    return event_frames(answer, with_usage=usage != "absent")


def status_of(answer: Answer) -> str:
    """How the response ends."""
    if answer.failed:
        return "failed"
    return "incomplete" if answer.choices[0].finish_reason == "length" else "completed"


def event_frames(answer: Answer, *, with_usage: bool = True) -> Iterator[Frame]:
    """The events of a stream, each with the tokens generated up to it; b"" where a token says nothing."""
    writer = _Writer(answer)
    choice = answer.choices[0]
    begun = response_object(answer, status="in_progress", with_output=False)
    yield 0, writer.event("response.created", response=begun)
    yield 0, writer.event("response.in_progress", response=begun)
    tokens = 0
    for _ in range(choice.reasoning_tokens):
        tokens += 1
        yield tokens, b""
    outputs = _output(answer)
    for index, item in enumerate(outputs):
        if item["type"] == "reasoning":
            yield tokens, writer.event("response.output_item.added", output_index=index, item=item)
        else:
            tokens += choice.called is not None
            opened = item | _BEGUN[item["type"]]
            yield (
                tokens,
                writer.event("response.output_item.added", output_index=index, item=opened),
            )
            for data in writer.opening(item, index):
                yield tokens, data
            for piece in choice.pieces:
                tokens += 1
                yield tokens, writer.delta(item, index, piece) if piece else b""
            for data in writer.closing(item, index):
                yield tokens, data
        yield tokens, writer.event("response.output_item.done", output_index=index, item=item)
    ended = status_of(answer)
    whole = response_object(answer, status=ended, with_usage=with_usage)
    yield tokens, writer.event(f"response.{ended}", response=whole)


# What an item is like before anything of it is said.
_BEGUN: Final[dict[str, dict[str, Any]]] = {
    "message": {"content": [], "status": "in_progress"},
    "function_call": {"arguments": "", "status": "in_progress"},
    "custom_tool_call": {"input": ""},
}


class _Writer:
    """Writes events, numbered."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.count = 0

    def event(self, kind: str, **members: Any) -> bytes:
        told = {"type": kind, "sequence_number": self.count, **members}
        self.count += 1
        return b"event: " + kind.encode() + b"\ndata: " + _encode(told) + b"\n\n"

    def opening(self, item: dict[str, Any], index: int) -> Iterator[bytes]:
        if item["type"] == "message":
            part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
            yield self.event("response.content_part.added", **self._place(item, index), part=part)

    def delta(self, item: dict[str, Any], index: int, piece: str) -> bytes:
        members: dict[str, Any] = {"item_id": item["id"], "output_index": index}
        kind = "response.function_call_arguments.delta"
        if item["type"] == "message":
            kind = "response.output_text.delta"
            members = {**self._place(item, index), "logprobs": []}
        elif item["type"] == "custom_tool_call":
            kind = "response.custom_tool_call_input.delta"
        members["delta"] = piece
        if self.answer.request.obfuscates:
            members["obfuscation"] = _PADDING[: (16 - len(piece)) % 17]
        return self.event(kind, **members)

    def closing(self, item: dict[str, Any], index: int) -> Iterator[bytes]:
        if item["type"] == "message":
            place, part = self._place(item, index), item["content"][0]
            yield self.event("response.output_text.done", **place, text=part["text"], logprobs=[])
            yield self.event("response.content_part.done", **place, part=part)
        elif item["type"] == "function_call":
            yield self.event(
                "response.function_call_arguments.done",
                item_id=item["id"],
                output_index=index,
                arguments=item["arguments"],
            )
        else:
            yield self.event(
                "response.custom_tool_call_input.done",
                item_id=item["id"],
                output_index=index,
                input=item["input"],
            )

    def _place(self, item: dict[str, Any], index: int) -> dict[str, Any]:
        return {"item_id": item["id"], "output_index": index, "content_index": 0}


def _output(answer: Answer) -> list[dict[str, Any]]:
    choice = answer.choices[0]
    items: list[dict[str, Any]] = []
    if answer.request.model.reasons:
        thought: dict[str, Any] = {
            "id": f"rs_{answer.number}",
            "type": "reasoning",
            "summary": [],
        }
        if "reasoning.encrypted_content" in answer.request.given.get("include", []):
            thought["encrypted_content"] = "gAAAA" + answer.number * 8
        items.append(thought)
    text = "".join(choice.pieces)
    # An item that was cut off stays unfinished.
    status = "incomplete" if choice.finish_reason == "length" else "completed"
    if choice.called is not None:
        is_custom = choice.call_kind == "custom"
        called: dict[str, Any] = {
            "id": f"{'ctc' if is_custom else 'fc'}_{answer.number}",
            "type": "custom_tool_call" if is_custom else "function_call",
            "call_id": answer.call_id(choice),
            "name": choice.called,
        }
        called |= {"input": text} if is_custom else {"arguments": text, "status": status}
        items.append(called)
    elif choice.pieces:
        logprobs = []
        if "message.output_text.logprobs" in answer.request.given.get("include", []):
            logprobs = [logprob(answer, piece) for piece in choice.pieces if piece]
        part = {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": text}
        items.append(
            {
                "id": f"msg_{answer.number}",
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": [part],
            }
        )
    return items


def _shown(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as the reply repeats it; a function with its defaults."""
    if tool["type"] == "custom":
        return tool
    return {"strict": True, "parameters": None, **tool}
