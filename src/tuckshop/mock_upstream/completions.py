"""The older Completions API of the made-up provider: a text goes on, for each prompt as often as asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import msgspec

from tuckshop.mock_upstream import parameters
from tuckshop.mock_upstream.catalogue import find_model
from tuckshop.mock_upstream.chat_answer import Answer, Choice, Thought, think
from tuckshop.mock_upstream.chat_request import ChatRequest, check_stop, check_stream_options
from tuckshop.mock_upstream.chat_stream import DONE, Frame
from tuckshop.mock_upstream.errors import ApiError, wrong_type
from tuckshop.mock_upstream.markers import read_markers, without_markers
from tuckshop.mock_upstream.tokens import count_text

_UNSTATED_CAP: Final = 16
_PROMPTS_MAX: Final = 2048
_encode: Final = msgspec.json.encode


def think_completion(body: object) -> Thought:
    """
    The answer to *body*: the choices of all prompts, those that `best_of` throws away too.

    Raises:
        ApiError: The provider does not understand it.
    """
    given = parameters.check(body, parameters.COMPLETIONS, ("model",))
    model = find_model(given["model"], "completion")
    check_stream_options(given.get("stream_options", {}), stream=given.get("stream", False))
    check_stop(given.get("stop", []))
    shown, tried = given.get("n", 1), max(given.get("n", 1), given.get("best_of", 1))
    if given.get("stream") and tried > shown:
        raise ApiError(400, "Cannot stream results with best_of > n.", param="best_of")
    cap = given.get("max_tokens", _UNSTATED_CAP)
    prompts = _prompts(given.get("prompt", "<|endoftext|>"))
    suffix = count_text(given.get("suffix", ""))
    tokens = [
        suffix + (count_text(prompt) if isinstance(prompt, str) else len(prompt))
        for prompt in prompts
    ]
    if max(tokens) + cap > model.context_tokens:
        raise ApiError(
            400,
            f"This model's maximum context length is {model.context_tokens} tokens, however you requested"
            f" {max(tokens) + cap} tokens ({max(tokens)} in your prompt; {cap} for the completion). Please reduce"
            " your prompt; or completion length.",
        )
    texts = [prompt if isinstance(prompt, str) else repr(prompt) for prompt in prompts]
    whole = ChatRequest(
        given=given,
        model=model,
        markers=read_markers("\n".join(texts)),
        prompt="",
        text="\n".join(texts),
        last_role="user",
        input_tokens=sum(tokens),
        output_cap=cap,
        stream=given.get("stream", False),
        wants_usage=given.get("stream_options", {}).get("include_usage", False) is True,
        obfuscates=False,
        choices=shown * len(prompts),
        service_tier="default",
    )
    choices: list[Choice] = []
    thrown_away: list[Choice] = []
    for text in texts:
        one = replace(whole, prompt=without_markers(text), choices=tried)
        thought = think(one)
        if given.get("echo"):
            for choice in thought.choices:
                choice.echoed = text
        choices += thought.choices[:shown]
        thrown_away += thought.choices[shown:]
    for index, choice in enumerate(choices):
        choice.index = index
    return Thought(request=whole, choices=choices, thrown_away=thrown_away)


def reply_bytes(answer: Answer, *, with_usage: bool = True) -> bytes:
    """The body of the reply to a request that does not stream."""
    reply = _head(answer)
    reply["choices"] = [
        _choice(answer, choice, choice.echoed + "".join(choice.pieces), finish=choice.finish_reason)
        for choice in answer.choices
    ]
    if with_usage:
        reply["usage"] = answer.usage(answer.output_tokens)
    return _encode(reply)


def stream_frames(answer: Answer, *, usage: str = "last") -> Iterator[Frame]:
    """The chunks of a stream; see `chat_stream.stream_frames`."""
    says_null = answer.request.wants_usage and usage == "last"
    tokens = 0

    def chunk(choices: list[dict[str, Any]], *, stated: bool) -> bytes:
        body = _head(answer) | {"choices": choices}
        if stated:
            body["usage"] = answer.usage(tokens)
        elif says_null:
            body["usage"] = None
        return b"data: " + _encode(body) + b"\n\n"

    for choice in answer.choices:
        if choice.echoed:
            yield tokens, chunk([_choice(answer, choice, choice.echoed)], stated=usage == "every")
        for piece in choice.pieces:
            tokens += 1
            yield (
                tokens,
                chunk([_choice(answer, choice, piece)], stated=usage == "every") if piece else b"",
            )
        last = choice is answer.choices[-1]
        ended = _choice(answer, choice, "", finish=choice.finish_reason)
        yield tokens, chunk([ended], stated=usage == "every" or (usage == "finish" and last))
    if says_null:
        yield tokens, chunk([], stated=True)
    yield tokens, DONE


def _head(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"cmpl-{answer.number}",
        "object": "text_completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [],
    }


def _choice(
    answer: Answer, choice: Choice, text: str, *, finish: str | None = None
) -> dict[str, Any]:
    logprobs = None
    if answer.request.given.get("logprobs") is not None and text:
        tops = [{word: -0.25} for word in (text,)] if answer.request.given["logprobs"] else None
        logprobs = {
            "tokens": [text],
            "token_logprobs": [-0.25],
            "top_logprobs": tops,
            "text_offset": [0],
        }
    return {"text": text, "index": choice.index, "logprobs": logprobs, "finish_reason": finish}


def _prompts(value: Any) -> list[str | list[int]]:
    prompts: list[Any] = [value] if isinstance(value, str) else value
    if prompts and all(_is_id(item) for item in prompts):
        prompts = [prompts]
    if not 0 < len(prompts) <= _PROMPTS_MAX:
        raise ApiError(400, "Invalid 'prompt': wrong number of prompts.", param="prompt")
    for index, prompt in enumerate(prompts):
        if not isinstance(prompt, str) and not (
            isinstance(prompt, list) and prompt and all(_is_id(item) for item in prompt)
        ):
            raise wrong_type(f"prompt[{index}]", "a string or an array of integers", prompt)
    return prompts


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31
