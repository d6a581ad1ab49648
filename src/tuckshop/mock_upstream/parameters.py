"""Which parameters the made-up API knows, of which JSON type, and what it says of those it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tuckshop.mock_upstream.errors import (
    ApiError,
    missing,
    unknown_parameter,
    unsupported_parameter,
    unsupported_value,
    wrong_type,
    wrong_value,
)

_STRING: Final = ((str,), "a string")
_INTEGER: Final = ((int,), "an integer")
_NUMBER: Final = ((int, float), "a decimal")
_BOOLEAN: Final = ((bool,), "a boolean")
_OBJECT: Final = ((dict,), "an object")
_ARRAY: Final = ((list,), "an array")

Kinds = Mapping[str, tuple[tuple[type, ...], str]]

# Read from the official description, 2026-08, and the official client 3.57.
CHAT: Final[Kinds] = {
    "model": _STRING,
    "messages": ((list,), "an array of objects"),
    "audio": _OBJECT,
    "frequency_penalty": _NUMBER,
    "function_call": ((str, dict), "one of a string or object"),
    "functions": _ARRAY,
    "logit_bias": _OBJECT,
    "logprobs": _BOOLEAN,
    "max_completion_tokens": _INTEGER,
    "max_tokens": _INTEGER,
    "metadata": _OBJECT,
    "modalities": _ARRAY,
    "moderation": _OBJECT,
    "n": _INTEGER,
    "parallel_tool_calls": _BOOLEAN,
    "prediction": _OBJECT,
    "presence_penalty": _NUMBER,
    "prompt_cache_key": _STRING,
    "prompt_cache_options": _OBJECT,
    "prompt_cache_retention": _STRING,
    "reasoning_effort": _STRING,
    "response_format": _OBJECT,
    "safety_identifier": _STRING,
    "seed": _INTEGER,
    "service_tier": _STRING,
    "stop": ((str, list), "one of a string or array of strings"),
    "store": _BOOLEAN,
    "stream": _BOOLEAN,
    "stream_options": _OBJECT,
    "temperature": _NUMBER,
    "tool_choice": ((str, dict), "one of a string or object"),
    "tools": _ARRAY,
    "top_logprobs": _INTEGER,
    "top_p": _NUMBER,
    "user": _STRING,
    "verbosity": _STRING,
    "web_search_options": _OBJECT,
}
RESPONSES: Final[Kinds] = {
    "model": _STRING,
    "input": ((str, list), "one of a string or array"),
    "background": _BOOLEAN,
    "context_management": _ARRAY,
    "conversation": ((str, dict), "one of a string or object"),
    "include": _ARRAY,
    "instructions": _STRING,
    "max_output_tokens": _INTEGER,
    "max_tool_calls": _INTEGER,
    "metadata": _OBJECT,
    "moderation": _OBJECT,
    "parallel_tool_calls": _BOOLEAN,
    "previous_response_id": _STRING,
    "prompt": _OBJECT,
    "prompt_cache_key": _STRING,
    "prompt_cache_options": _OBJECT,
    "prompt_cache_retention": _STRING,
    "reasoning": _OBJECT,
    "safety_identifier": _STRING,
    "service_tier": _STRING,
    "store": _BOOLEAN,
    "stream": _BOOLEAN,
    "stream_options": _OBJECT,
    "temperature": _NUMBER,
    "text": _OBJECT,
    "tool_choice": ((str, dict), "one of a string or object"),
    "tools": _ARRAY,
    "top_logprobs": _INTEGER,
    "top_p": _NUMBER,
    "truncation": _STRING,
    "user": _STRING,
}
INPUT_TOKENS: Final[Kinds] = {
    name: RESPONSES[name]
    for name in (
        "conversation", "input", "instructions", "model", "parallel_tool_calls", "previous_response_id", "reasoning",
        "text", "tool_choice", "tools", "truncation",
    )
} | {"personality": _STRING}  # fmt: skip
COMPLETIONS: Final[Kinds] = {
    "model": _STRING,
    "prompt": ((str, list), "one of a string or array"),
    "best_of": _INTEGER,
    "echo": _BOOLEAN,
    "frequency_penalty": _NUMBER,
    "logit_bias": _OBJECT,
    "logprobs": _INTEGER,
    "max_tokens": _INTEGER,
    "n": _INTEGER,
    "presence_penalty": _NUMBER,
    "seed": _INTEGER,
    "stop": ((str, list), "one of a string or array of strings"),
    "stream": _BOOLEAN,
    "stream_options": _OBJECT,
    "suffix": _STRING,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "user": _STRING,
}
EMBEDDINGS: Final[Kinds] = {
    "input": ((str, list), "one of a string or array"),
    "model": _STRING,
    "dimensions": _INTEGER,
    "encoding_format": _STRING,
    "user": _STRING,
}
MODERATIONS: Final[Kinds] = {
    "input": ((str, list), "one of a string or array"),
    "model": _STRING,
}
_NEVER_NULL: Final = frozenset({"model", "messages", "input", "tools", "functions", "user"})

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "top_logprobs": (0, 20),
    "max_tokens": (1, 2**31),
    "max_completion_tokens": (1, 2**31),
    "dimensions": (1, 3072),
}
# The older API lets a prompt be scored without an answer.
_COMPLETION_RANGES: Final = {
    **_RANGES,
    "max_tokens": (0, 2**31),
    "best_of": (0, 20),
    "logprobs": (0, 5),
}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "service_tier": ("auto", "default", "flex", "scale", "priority", "fast"),
    "encoding_format": ("float", "base64"),
    "reasoning_effort": ("none", "minimal", "low", "medium", "high", "xhigh"),
    "verbosity": ("low", "medium", "high"),
}
# What models that reason accept only at its default.
_FIXED_WHEN_REASONING: Final[Mapping[str, float]] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
_ABSENT_WHEN_REASONING: Final = ("stop", "logit_bias", "top_logprobs")


def check(body: object, kinds: Kinds, required: tuple[str, ...]) -> dict[str, Any]:
    """
    *body* as an object whose members are all known and of the right type and range; nulls are left out.

    Raises:
        ApiError: In the order in which the real one complains.
    """
    if not isinstance(body, dict):
        raise ApiError(400, "Invalid body: expected an object.")
    if "model" in required and not body.get("model"):
        raise ApiError(400, "you must provide a model parameter")
    given: dict[str, Any] = {}
    ranges = _COMPLETION_RANGES if kinds is COMPLETIONS else _RANGES
    for name, value in body.items():
        kind = kinds.get(name)
        if kind is None:
            raise unknown_parameter(name)
        if value is None:
            if name in _NEVER_NULL:
                raise wrong_type(name, kind[1], value)
            continue
        if not isinstance(value, kind[0]) or (isinstance(value, bool) and bool not in kind[0]):
            raise wrong_type(name, kind[1], value)
        given[name] = value
        _check_range(name, value, ranges)
    for name in required:
        if name not in given:
            raise missing(name)
    return given


def _check_range(name: str, value: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    if (span := ranges.get(name)) is not None and not span[0] <= value <= span[1]:
        side, bound = ("below minimum", span[0]) if value < span[0] else ("above maximum", span[1])
        word = ">=" if value < span[0] else "<="
        raise ApiError(
            400,
            f"Invalid '{name}': {side} value. Expected a value {word} {bound}, but got {value} instead.",
            param=name,
            code="integer_below_min_value" if value < span[0] else "integer_above_max_value",
        )
    if (words := _CHOICES.get(name)) is not None and value not in words:
        listed = ", ".join(f"'{word}'" for word in words[:-1]) + f", and '{words[-1]}'"
        raise wrong_value(name, f"Invalid value: '{value}'. Supported values are: {listed}.")


def check_for_reasoning(given: Mapping[str, Any]) -> None:
    """
    Whether a model that reasons takes *given*.

    Raises:
        ApiError: `max_tokens` and the sampling parameters are refused by name.
    """
    if "max_tokens" in given:
        raise unsupported_parameter("max_tokens", "max_completion_tokens")
    for name, default in _FIXED_WHEN_REASONING.items():
        if given.get(name, default) != default:
            raise unsupported_value(name, given[name])
    for name in _ABSENT_WHEN_REASONING:
        if name in given:
            raise unsupported_parameter(name)
    if given.get("logprobs"):
        raise unsupported_parameter("logprobs")
