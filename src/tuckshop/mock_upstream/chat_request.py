"""What a chat request asks of the made-up provider: its text, its size, its cap, its form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tuckshop.mock_upstream import parameters
from tuckshop.mock_upstream.catalogue import MockModel, find_model
from tuckshop.mock_upstream.errors import ApiError, missing, wrong_type, wrong_value
from tuckshop.mock_upstream.markers import read_markers, without_markers
from tuckshop.mock_upstream.pictures import picture_tokens
from tuckshop.mock_upstream.tokens import (
    PER_FILE,
    PER_MESSAGE,
    PER_REPLY,
    count_text,
    count_tools,
)

_ROLES: Final = ("developer", "system", "user", "assistant", "tool", "function")
_STOPS_MAX: Final = 4
_TIERS: Final = {"auto": "default", "fast": "priority", "scale": "default"}


@dataclass(slots=True, kw_only=True)
class ChatRequest:
    """A chat request that the provider is willing to answer."""

    given: dict[str, Any]  # the parameters, nulls left out
    model: MockModel
    markers: dict[str, str]
    prompt: str  # the last user message: what the answer is derived from
    text: str  # all of it: what the cache compares
    last_role: str
    input_tokens: int
    output_cap: int
    stream: bool
    wants_usage: bool
    obfuscates: bool
    choices: int
    service_tier: str
    streams_custom: bool = False  # a stream may call custom tools, which chat has no chunk for


def read_chat(body: object) -> ChatRequest:
    """
    *body* as the provider understands it.

    Raises:
        ApiError: It does not.
    """
    given = parameters.check(body, parameters.CHAT, ("model", "messages"))
    model = find_model(given["model"], "chat")
    if model.reasons:
        parameters.check_for_reasoning(given)
    texts, prompt, tokens, last_role = _read_messages(given["messages"], model.name)
    tokens += count_definitions(given)
    stream = given.get("stream", False)
    options = given.get("stream_options", {})
    check_stream_options(options, stream=stream)
    _check_format(given, texts)
    check_stop(given.get("stop", []))
    if tokens > model.context_tokens:
        raise ApiError(
            400,
            f"This model's maximum context length is {model.context_tokens} tokens. However, your messages resulted"
            f" in {tokens} tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
    return ChatRequest(
        given=given,
        model=model,
        markers=read_markers(prompt),
        prompt=without_markers(prompt),
        text="\n".join(texts),
        last_role=last_role,
        input_tokens=tokens,
        output_cap=_output_cap(given, model, tokens),
        stream=stream,
        wants_usage=options.get("include_usage", False) is True,
        obfuscates=options.get("include_obfuscation", True) is not False,
        choices=given.get("n", 1),
        service_tier=_TIERS.get(tier := given.get("service_tier", "auto"), tier),
    )


def _read_messages(messages: list[Any], model: str) -> tuple[list[str], str, int, str]:
    """(all texts, the last user message, input tokens, the last role)"""
    if not messages:
        raise ApiError(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    texts: list[str] = []
    prompt = role = ""
    tokens = PER_REPLY
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise wrong_type(where, "an object", message)
        role = message.get("role", "")
        if role not in _ROLES:
            listed = ", ".join(f"'{word}'" for word in _ROLES)
            raise wrong_value(
                f"{where}.role", f"Invalid value: '{role}'. Supported values are: {listed}."
            )
        content, count = _read_content(message.get("content"), f"{where}.content", model)
        tokens += PER_MESSAGE + count_text(content) + count
        for extra in ("tool_calls", "function_call", "name"):
            if extra in message:
                tokens += count_tools([message[extra]])
        texts.append(content)
        if role == "user":
            prompt = content
    return texts, prompt, tokens, role


def _read_content(content: Any, where: str, model: str) -> tuple[str, int]:
    """(the text, tokens of what is not text)"""
    if content is None:
        return "", 0
    if isinstance(content, str):
        return content, 0
    if not isinstance(content, list):
        raise wrong_type(where, "one of a string or array of objects", content)
    texts: list[str] = []
    tokens = 0
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            raise wrong_type(f"{where}[{index}]", "an object", part)
        kind = part.get("type")
        if kind in ("text", "refusal"):
            text = part.get(kind)
            if not isinstance(text, str):
                raise wrong_type(f"{where}[{index}].{kind}", "a string", text)
            texts.append(text)
        elif kind == "image_url":
            shown = part.get(kind)
            if not isinstance(shown, dict):
                raise wrong_type(f"{where}[{index}].image_url", "an object", shown)
            url, detail = shown.get("url"), shown.get("detail")
            tokens += picture_tokens(url, detail, model, f"{where}[{index}].image_url")
        elif kind in ("input_audio", "file"):
            tokens += PER_FILE
        else:
            raise wrong_value(f"{where}[{index}].type", f"Invalid value: '{kind}'.")
    return "".join(texts), tokens


def count_definitions(given: dict[str, Any]) -> int:
    """Tokens of tools, functions and the reply's schema, each of which must be well formed."""
    for index, tool in enumerate(given.get("tools", [])):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in ("function", "custom"):
            raise wrong_value(
                f"tools[{index}].type",
                f"Invalid value: '{kind}'. Supported values are: 'function' and 'custom'.",
            )
        _check_definition(tool.get(kind), f"tools[{index}].{kind}")
    for index, function in enumerate(given.get("functions", [])):
        _check_definition(function, f"functions[{index}]")
    tokens = count_tools(given.get("tools", [])) + count_tools(given.get("functions", []))
    if given.get("response_format", {}).get("type") == "json_schema":
        tokens += count_tools([given["response_format"]])
    return tokens


def _check_definition(definition: Any, where: str) -> None:
    if definition is None:
        raise missing(where)
    if not isinstance(definition, dict):
        raise wrong_type(where, "an object", definition)
    if not isinstance(definition.get("name"), str):
        raise missing(f"{where}.name")
    if not isinstance(definition.get("parameters", {}), dict):
        raise wrong_type(f"{where}.parameters", "an object", definition["parameters"])


def check_stream_options(options: dict[str, Any], *, stream: bool) -> None:
    """Raise ApiError for options of a stream that the provider does not know."""
    if options and not stream:
        raise ApiError(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    for name, value in options.items():
        if name not in ("include_usage", "include_obfuscation"):
            raise ApiError(
                400,
                f"Unknown parameter: 'stream_options.{name}'.",
                param=f"stream_options.{name}",
                code="unknown_parameter",
            )
        if not isinstance(value, bool):
            raise wrong_type(f"stream_options.{name}", "a boolean", value)


def check_stop(stop: str | list[Any]) -> None:
    """Raise ApiError for stop sequences that are none, or too many."""
    for index, word in enumerate([stop] if isinstance(stop, str) else stop):
        if not isinstance(word, str):
            raise wrong_type(f"stop[{index}]", "a string", word)
        if index == _STOPS_MAX:
            raise ApiError(
                400,
                f"Invalid 'stop': array too long. Expected an array with maximum length {_STOPS_MAX}.",
                param="stop",
                code="array_above_max_length",
            )


def _check_format(given: dict[str, Any], texts: list[str]) -> None:
    form = given.get("response_format")
    if form is None:
        return
    kind = form.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise wrong_value("response_format.type", f"Invalid value: '{kind}'.")
    if kind == "json_object" and not any("json" in text.lower() for text in texts):
        raise ApiError(
            400,
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )
    if kind == "json_schema":
        schema = form.get("json_schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("schema", {}), dict):
            raise wrong_type("response_format.json_schema", "an object", schema)
        if "name" not in schema:
            raise ApiError(
                400,
                "Missing required parameter: 'response_format.json_schema.name'.",
                param="response_format.json_schema.name",
                code="missing_required_parameter",
            )


def _output_cap(given: dict[str, Any], model: MockModel, input_tokens: int) -> int:
    """The most tokens each choice may have."""
    if "max_tokens" in given and "max_completion_tokens" in given:
        raise ApiError(
            400,
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )
    for name in ("max_tokens", "max_completion_tokens"):
        if (cap := given.get(name)) is None:
            continue
        if cap > model.output_max_tokens:
            raise wrong_value(
                name,
                f"{name} is too large: {cap}. This model supports at most {model.output_max_tokens} completion"
                f" tokens, whereas you provided {cap}.",
            )
        return int(cap)
    return max(1, min(model.output_max_tokens, model.context_tokens - input_tokens))
