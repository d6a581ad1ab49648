"""What a body of POST /chat/completions asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tuckshop.domain.errors import ParameterNotAllowedError
from tuckshop.protocols.image_size import ImageInput
from tuckshop.protocols.openai.body import (
    CAP_MAX,
    CHOICES_MAX,
    BodyFacts,
    check_breakpoint,
    check_tool,
    choice_extent,
    definition_extent,
    refuse_dearer_options,
    wants_usage,
)
from tuckshop.protocols.openai.images import read_image
from tuckshop.protocols.openai.text import Extent, message_bytes, schema_extent
from tuckshop.protocols.openai.values import count, flag, objects_at, wrong

CAP_FIELDS: Final = ("max_completion_tokens", "max_tokens")
_REFUSED: Final = {
    "audio": "audio is not served yet",
    "moderation": "moderation inside a call has no known price",
    "prediction": "predictions make output that cannot be bounded",
    "web_search_options": "a web search costs a fee per call",
}
# Names that a plain call does not have: it is spared looking at each of them.
_PRICED_OR_KEPT: Final = frozenset(_REFUSED) | {
    "modalities",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "store",
}
_DEFINING: Final = frozenset(
    {"function_call", "functions", "response_format", "tool_choice", "tools"}
)


def read_chat(tree: Mapping[str, Any], model: str, unknown: tuple[str, ...]) -> BodyFacts:
    """The facts of a chat body; raises as `understand` does."""
    if not _PRICED_OR_KEPT.isdisjoint(tree):
        _refuse_what_costs_more(tree)
    stream = flag(tree, "stream")
    named: dict[str, int] = {}
    for name in CAP_FIELDS:
        cap = count(tree, name, most=CAP_MAX)
        if cap is not None:
            named[name] = cap
    tools, extent = 0, Extent()
    if not _DEFINING.isdisjoint(tree):
        tools, extent = _tools(tree)
        extent += _response_schema(tree.get("response_format"))
    messages = tree.get("messages")
    if not isinstance(messages, list):
        raise wrong("messages", "a list of messages")
    images: list[ImageInput] = []
    texts = [
        _read_message(message, f"messages[{index}]", images)
        for index, message in enumerate(messages)
    ]
    return BodyFacts(
        model=model,
        stream=stream,
        wants_usage=wants_usage(tree, stream=stream),
        cap_wanted=min(named.values(), default=None),
        cap_fields=tuple(named),
        choices=count(tree, "n", most=CHOICES_MAX) or 1,
        text_bytes=message_bytes(texts) + extent.text_bytes,
        messages=len(messages),
        tools=tools,
        schema_properties=extent.properties,
        images=tuple(images),
        unknown_parameters=unknown,
    )


def _refuse_what_costs_more(tree: Mapping[str, Any]) -> None:
    for name, reason in _REFUSED.items():
        if tree.get(name) is not None:
            raise ParameterNotAllowedError(name, reason)
    modalities = tree.get("modalities")
    if modalities is not None:
        if not isinstance(modalities, list):
            raise wrong("modalities", "a list")
        if any(kind != "text" for kind in modalities):
            raise ParameterNotAllowedError("modalities", "only text is served")
    refuse_dearer_options(tree)


def _read_message(message: Any, path: str, images: list[ImageInput]) -> Mapping[str, Any]:
    """*message* without its images, which go to *images*: what is left is text."""
    if not isinstance(message, dict):
        raise wrong(path, "an object")
    if message.get("audio") is not None:
        raise ParameterNotAllowedError(f"{path}.audio", "audio is not served yet")
    content = message.get("content")
    if isinstance(content, list):
        before = len(images)
        left = [
            read_part(part, f"{path}.content[{index}]", images)
            for index, part in enumerate(content)
        ]
        return message if len(images) == before else {**message, "content": left}
    if content is not None and not isinstance(content, str):
        raise wrong(f"{path}.content", "a string or a list of parts")
    return message


def read_part(part: Any, path: str, images: list[ImageInput]) -> Mapping[str, Any]:
    """A content *part* without its image, which goes to *images*; one that is neither text nor image is refused."""
    if isinstance(part, dict) and part.get("type") == "image_url":
        check_breakpoint(part, path)
        _refuse_unread(part, path, ("input_audio", "file"))
        shown = part.get("image_url")
        if not isinstance(shown, dict):
            raise wrong(f"{path}.image_url", "an object with a url")
        images.append(read_image(shown.get("url"), shown.get("detail"), f"{path}.image_url", "url"))
        rest = {name: value for name, value in shown.items() if name not in ("url", "detail")}
        return {**part, "image_url": rest} if rest else _without(part, "image_url")
    check_text_part(part, path)
    return part  # type: ignore[no-any-return]  # an object: it was checked


def check_text_part(part: Any, path: str) -> None:
    """
    Let a content part through that holds nothing but text.

    Looks at names too, not only at `type`: a compatible server may read `image_url` whatever the type says.
    """
    if not isinstance(part, dict):
        raise wrong(path, "an object")
    kind = part.get("type")
    if not isinstance(kind, str):
        raise wrong(f"{path}.type", "a string")
    _refuse_unread(part, path, ("image_url", "input_audio", "file"))
    if kind not in ("text", "refusal"):
        raise ParameterNotAllowedError(f"{path}.type", f"parts of type {kind[:64]} are not served")
    if not isinstance(part.get(kind), str):
        raise wrong(f"{path}.{kind}", "a string")
    check_breakpoint(part, path)


def _refuse_unread(part: Mapping[str, Any], path: str, names: tuple[str, ...]) -> None:
    for name in names:
        if name in part or part.get("type") == name:
            raise ParameterNotAllowedError(f"{path}.{name}", "it is not served here")


def _without(part: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return {key: value for key, value in part.items() if key != name}


# ── tools and schemas ─────────────────────────────────────────────────────────────────────────────────────────────


def _tools(tree: Mapping[str, Any]) -> tuple[int, Extent]:
    """How many tools and functions are offered, and their extent; a tool that the provider runs is refused."""
    extent = Extent()
    tools = objects_at(tree, "tools")
    for index, tool in enumerate(tools):
        kind = check_tool(tool, f"tools[{index}]")
        extent += definition_extent(tool.get(kind))
        extent += schema_extent({name: value for name, value in tool.items() if name != kind})
    functions = objects_at(tree, "functions")
    for function in functions:
        extent += definition_extent(function)
    extent += schema_extent(tree.get("function_call"))
    choice = tree.get("tool_choice")
    allowed = choice.get("allowed_tools") if isinstance(choice, dict) else None
    extent += choice_extent(choice, allowed, "tool_choice.allowed_tools.")
    return len(tools) + len(functions), extent


def _response_schema(response_format: Any) -> Extent:
    if not isinstance(response_format, dict):
        return schema_extent(response_format)
    named = response_format.get("json_schema")
    if not isinstance(named, dict):
        return schema_extent(response_format)
    rest = {name: value for name, value in named.items() if name != "schema"}
    others = {name: value for name, value in response_format.items() if name != "json_schema"}
    return schema_extent(others) + schema_extent(rest) + schema_extent(named.get("schema"))
