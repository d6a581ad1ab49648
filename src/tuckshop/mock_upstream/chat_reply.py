"""A chat answer as one reply. Members and their order are those of the real ones."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tuckshop.mock_upstream.chat_answer import Answer, Choice

_encode: Final = msgspec.json.encode


def reply_bytes(answer: Answer, *, with_usage: bool = True) -> bytes:
    """The body of the reply to a request that does not stream."""
    as_thought = answer.is_as_thought
    tail = answer.thought.reply_tail if as_thought else None
    if tail is None:
        tail = _encode(_rest(answer, with_usage=with_usage))[1:]
        if as_thought:
            answer.thought.reply_tail = tail
    return b'{"id":"%b","object":"chat.completion","created":%d,%b' % (
        answer.id.encode(),
        answer.created,
        tail,
    )


def _rest(answer: Answer, *, with_usage: bool) -> dict[str, Any]:
    rest: dict[str, Any] = {
        "model": answer.model,
        "choices": [_reply_choice(answer, choice) for choice in answer.choices],
    }
    if with_usage:
        rest["usage"] = answer.usage(answer.output_tokens)
    rest["service_tier"] = answer.service_tier
    rest["system_fingerprint"] = answer.fingerprint
    return rest


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
            message["tool_calls"] = [
                {"id": answer.call_id(choice), "type": "custom", "custom": custom}
            ]
        else:
            function = {"name": choice.called, "arguments": text}
            message["tool_calls"] = [
                {"id": answer.call_id(choice), "type": "function", "function": function}
            ]
    logprobs = None
    if answer.request.given.get("logprobs") and choice.called is None:
        content = [logprob(answer, piece) for piece in choice.pieces if piece]
        logprobs = {"content": content, "refusal": None}
    return {
        "index": choice.index,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": choice.finish_reason,
    }


def logprob(answer: Answer, piece: str) -> dict[str, Any]:
    """The probabilities of one token."""
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
