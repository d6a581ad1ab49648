"""
A request of the Responses API, as the made-up provider understands it: what chat says, in other words.

It is turned into the request of a chat, whose answer is then told in the words of the Responses API.
"""

from __future__ import annotations

from typing import Any, Final

from tuckshop.mock_upstream import parameters
from tuckshop.mock_upstream.catalogue import find_model
from tuckshop.mock_upstream.chat_request import ChatRequest, count_definitions
from tuckshop.mock_upstream.errors import (
    ApiError,
    missing,
    unknown_parameter,
    wrong_type,
    wrong_value,
)
from tuckshop.mock_upstream.markers import read_markers, without_markers
from tuckshop.mock_upstream.pictures import picture_tokens
from tuckshop.mock_upstream.tokens import PER_MESSAGE, PER_REPLY, count_text

_TEXTS: Final = {
    "input_text": "text",
    "output_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
    "summary_text": "text",
}
_TIERS: Final = {"auto": "default", "fast": "priority", "scale": "default"}
_CAP_LEAST: Final = 16


def read_response(body: object, kinds: parameters.Kinds = parameters.RESPONSES) -> ChatRequest:
    """
    *body* as the provider understands it.

    Raises:
        ApiError: It does not.
    """
    given = parameters.check(body, kinds, ("model",))
    for name in ("previous_response_id", "conversation", "prompt"):
        if name in given:
            raise ApiError(
                400,
                f"Previous response with id '{given[name]}' not found.",
                param=name,
                code="previous_response_not_found",
            )
    model = find_model(given["model"], "responses")
    if model.reasons:
        parameters.check_for_reasoning(given)
    reader = _Reader(model.name)
    reader.read(given.get("input", []), given.get("instructions"))
    chat = _as_chat(given)
    tokens = PER_REPLY + reader.tokens + count_definitions(chat)
    if tokens > model.context_tokens:
        raise ApiError(
            400,
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            param="input",
            code="context_length_exceeded",
        )
    stream = given.get("stream", False)
    return ChatRequest(
        given={**given, **chat},
        model=model,
        markers=read_markers(reader.prompt),
        prompt=without_markers(reader.prompt),
        text="\n".join(reader.texts),
        last_role=reader.last_role,
        input_tokens=tokens,
        output_cap=_cap(given, model.output_max_tokens, model.context_tokens - tokens),
        stream=stream,
        wants_usage=True,
        obfuscates=given.get("stream_options", {}).get("include_obfuscation", True) is not False,
        choices=1,
        streams_custom=True,
        service_tier=_TIERS.get(tier := given.get("service_tier", "auto"), tier),
    )


def _cap(given: dict[str, Any], most: int, room: int) -> int:
    cap = given.get("max_output_tokens")
    if cap is None:
        return max(1, min(most, room))
    if cap < _CAP_LEAST:
        raise ApiError(
            400,
            f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {_CAP_LEAST}, but got"
            f" {cap} instead.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )
    return min(int(cap), most)


def _as_chat(given: dict[str, Any]) -> dict[str, Any]:
    """The members of *given* that chat has too, as chat has them."""
    chat: dict[str, Any] = {"tools": []}
    for index, tool in enumerate(given.get("tools", [])):
        if not isinstance(tool, dict) or tool.get("type") not in ("function", "custom"):
            raise wrong_value(f"tools[{index}].type", "This tool is not supported here.")
        defined = {name: value for name, value in tool.items() if value is not None}
        chat["tools"].append({"type": tool["type"], tool["type"]: defined})
    choice = given.get("tool_choice", "auto")
    if isinstance(choice, dict):
        named = choice.get("type") in ("function", "custom")
        chat["tool_choice"] = {"function": choice} if named else choice.get("mode", "auto")
    text = given.get("text", {})
    form = text.get("format", {"type": "text"})
    if form.get("type") == "json_schema":
        for name in ("name", "schema"):
            if name not in form:
                raise missing(f"text.format.{name}")
        chat["response_format"] = {"type": "json_schema", "json_schema": form}
    elif form.get("type") == "json_object":
        chat["response_format"] = form
    elif form.get("type") != "text":
        raise wrong_value("text.format.type", f"Invalid value: '{form.get('type')}'.")
    reasoning = given.get("reasoning", {})
    for name in reasoning:
        if name not in ("effort", "summary", "generate_summary", "context", "mode"):
            raise unknown_parameter(f"reasoning.{name}")
    chat["reasoning_effort"] = reasoning.get("effort") or "medium"
    return chat


class _Reader:
    """Adds up what goes in."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.tokens = 0
        self.texts: list[str] = []
        self.prompt = ""
        self.last_role = ""

    def read(self, given: Any, instructions: str | None) -> None:
        if instructions:
            self._add(instructions)
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        for index, item in enumerate(items):
            where = f"input[{index}]"
            if not isinstance(item, dict):
                raise wrong_type(where, "an object", item)
            self._item(item, item.get("type", "message"), where)

    def _item(self, item: dict[str, Any], kind: str, where: str) -> None:
        self.last_role = "tool" if kind.endswith("_output") else item.get("role", "assistant")
        if kind == "message":
            self._add(text := self._content(item.get("content"), f"{where}.content"))
            if self.last_role == "user":
                self.prompt = text
        elif kind in ("function_call_output", "custom_tool_call_output"):
            if not isinstance(item.get("call_id"), str):
                raise missing(f"{where}.call_id")
            self._add(self._content(item.get("output"), f"{where}.output"))
        elif kind in ("function_call", "custom_tool_call"):
            self._add(f"{item.get('name', '')}{item.get('arguments') or item.get('input') or ''}")
        elif kind == "reasoning":
            sealed = item.get("encrypted_content") or ""
            # What is sealed is longer than what it holds.
            self.tokens += PER_MESSAGE + count_text(sealed) // 2
        else:
            raise wrong_value(f"{where}.type", f"Invalid value: '{kind}'.")

    def _add(self, text: str) -> None:
        self.texts.append(text)
        self.tokens += PER_MESSAGE + count_text(text)

    def _content(self, content: Any, where: str) -> str:
        if isinstance(content, str):
            return content
        if not isinstance(content, list):
            raise wrong_type(where, "one of a string or array of objects", content)
        texts: list[str] = []
        for index, part in enumerate(content):
            kind = part.get("type") if isinstance(part, dict) else None
            at = f"{where}[{index}]"
            if kind == "input_image":
                self.tokens += picture_tokens(
                    part.get("image_url"), part.get("detail"), self.model, f"{at}.image_url"
                )
            elif kind in _TEXTS and isinstance(part.get(_TEXTS[kind]), str):
                texts.append(part[_TEXTS[kind]])
            else:
                raise wrong_value(f"{at}.type", f"Invalid value: '{kind}'.")
        return "".join(texts)
