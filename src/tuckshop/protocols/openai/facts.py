"""
What a body asks for: all that price, policy and routing need to know of it, or a refusal by name (M12).

Types are strict where money or routing depends on them; of the rest the upstream is the judge. Whatever would change
the price in a way that nobody here can bound, or leave something at the provider, is refused by the name of its field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from tuckshop.domain.errors import InvalidRequestBodyError, ParameterNotAllowedError
from tuckshop.protocols.endpoints import Endpoint, ModelFamily
from tuckshop.protocols.openai.text import Extent, json_bytes, message_bytes, schema_extent

MODEL_MAX_CHARS: Final = 128
CHOICES_MAX: Final = 128
INPUTS_MAX: Final = 2048
_CAP_MAX: Final = 2**31  # more tokens than any model makes; keeps sums far from 64 bits
CAP_FIELDS: Final = ("max_completion_tokens", "max_tokens")


class BodyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a body asks for, as far as money, routing and policy need to know."""

    model: str  # as the client wrote it, upstream prefix and all
    stream: bool = False
    wants_usage: bool = False  # the client asks for the usage chunk of a stream
    cap_wanted: int | None = None  # the least that the client's cap fields say, per choice
    cap_fields: tuple[str, ...] = ()  # the fields it says it in
    choices: int = 1
    text_bytes: int = 0
    messages: int = 0  # messages, or texts of an input
    tools: int = 0
    schema_properties: int = 0  # properties and listed values of all schemas
    token_ids: int = 0
    unknown_parameters: tuple[
        str, ...
    ] = ()  # top-level names that the endpoint's row does not know


def understand(endpoint: Endpoint, tree: Mapping[str, Any], *, pass_unknown: bool) -> BodyFacts:
    """
    The facts of the body *tree* of a call to *endpoint*.

    Args:
        pass_unknown: Whether the policy passes top-level names on that the endpoint's row does not know.
    Raises:
        InvalidRequestBodyError: A field that matters is missing or of a wrong type.
        ParameterNotAllowedError: A field, a tool or a value that may not be used, by its path.
    """
    assert endpoint.family is not None  # a call without a body has nothing to be understood
    model = tree.get("model")
    if model is None and endpoint.default_model is not None:
        model = endpoint.default_model
    if not isinstance(model, str) or not 0 < len(model) <= MODEL_MAX_CHARS:
        raise _wrong("model", f"a string of 1 to {MODEL_MAX_CHARS} characters")
    unknown: tuple[str, ...] = ()
    if not tree.keys() <= endpoint.parameters:
        unknown = tuple(name for name in tree if name not in endpoint.parameters)
    if unknown and not pass_unknown:
        raise unknown_parameter(unknown[0])
    facts = _READERS[endpoint.family](tree, model, unknown)
    if not unknown:
        return facts
    # Such a field may be written into the prompt: some servers take documents or a schema in fields of their own.
    passed = sum(len(name.encode()) + json_bytes(tree[name]) for name in unknown)
    return replace(facts, text_bytes=facts.text_bytes + passed)


def unknown_parameter(name: str) -> ParameterNotAllowedError:
    """The refusal of a top-level name that the endpoint's row does not know (M12)."""
    return ParameterNotAllowedError(name, "it is not known here, so its price is not either")


# ── chat ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _chat(tree: Mapping[str, Any], model: str, unknown: tuple[str, ...]) -> BodyFacts:
    if "-search-" in model:
        raise ParameterNotAllowedError("model", "models that search the web cost a fee per call")
    if not _PRICED_OR_KEPT.isdisjoint(tree):
        _refuse_what_costs_more(tree)
    stream = _bool(tree, "stream")
    named: dict[str, int] = {}
    for name in CAP_FIELDS:
        cap = _count(tree, name, most=_CAP_MAX)
        if cap is not None:
            named[name] = cap
    tools, extent = 0, Extent()
    if not _DEFINING.isdisjoint(tree):
        tools, extent = _tools(tree)
        extent += _response_schema(tree.get("response_format"))
    messages = tree.get("messages")
    if not isinstance(messages, list):
        raise _wrong("messages", "a list of messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    return BodyFacts(
        model=model,
        stream=stream,
        wants_usage=_wants_usage(tree.get("stream_options"), stream=stream),
        cap_wanted=min(named.values(), default=None),
        cap_fields=tuple(named),
        choices=_count(tree, "n", most=CHOICES_MAX) or 1,
        text_bytes=message_bytes(messages) + extent.text_bytes,
        messages=len(messages),
        tools=tools,
        schema_properties=extent.properties,
        unknown_parameters=unknown,
    )


_CHAT_REFUSED: Final = {
    "audio": "audio is not served yet",
    "moderation": "moderation inside a call has no known price",
    "prediction": "predictions make output that cannot be bounded",
    "web_search_options": "a web search costs a fee per call",
}
# Names that a plain call does not have: it is spared looking at each of them.
_PRICED_OR_KEPT: Final = frozenset(_CHAT_REFUSED) | {
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


def _refuse_what_costs_more(tree: Mapping[str, Any]) -> None:
    for name, reason in _CHAT_REFUSED.items():
        if tree.get(name) is not None:
            raise ParameterNotAllowedError(name, reason)
    if _bool(tree, "store"):
        raise ParameterNotAllowedError("store", "nothing is stored at the provider")
    tier = tree.get("service_tier")
    if tier is not None and tier not in ("auto", "default"):
        raise ParameterNotAllowedError("service_tier", "only the default tier is served")
    modalities = tree.get("modalities")
    if modalities is not None:
        if not isinstance(modalities, list):
            raise _wrong("modalities", "a list")
        if any(kind != "text" for kind in modalities):
            raise ParameterNotAllowedError("modalities", "only text is served")
    _check_cache_options(tree)


def _check_cache_options(tree: Mapping[str, Any]) -> None:
    """Only the usual cache lifetime is priced, and nothing may name another call's cache."""
    options = _object(tree, "prompt_cache_options")
    for name, value in options.items():
        if name == "mode" or (name == "ttl" and value in (None, "30m")):
            continue
        raise ParameterNotAllowedError(f"prompt_cache_options.{name}", "it changes the price")
    if tree.get("prompt_cache_retention") not in (None, "in_memory", "in-memory", "24h"):
        raise ParameterNotAllowedError("prompt_cache_retention", "this value has no known price")
    key = tree.get("prompt_cache_key")
    if key is not None and not isinstance(key, str):
        raise _wrong("prompt_cache_key", "a string")


def _wants_usage(options: Any, *, stream: bool) -> bool:
    if options is None:
        return False
    if not isinstance(options, dict):
        raise _wrong("stream_options", "an object")
    if not stream:
        raise InvalidRequestBodyError(
            "stream_options is only for calls with stream: true", "stream_options"
        )
    wants = options.get("include_usage")
    if wants is not None and not isinstance(wants, bool):
        raise _wrong("stream_options.include_usage", "true or false")
    for name in options:
        if name not in ("include_usage", "include_obfuscation"):
            raise ParameterNotAllowedError(f"stream_options.{name}", "it is not known here")
    return bool(wants)


def _check_message(message: Any, path: str) -> None:
    if not isinstance(message, dict):
        raise _wrong(path, "an object")
    if message.get("audio") is not None:
        raise ParameterNotAllowedError(f"{path}.audio", "audio is not served yet")
    content = message.get("content")
    if isinstance(content, list):
        for index, part in enumerate(content):
            _check_part(part, f"{path}.content[{index}]")
    elif content is not None and not isinstance(content, str):
        raise _wrong(f"{path}.content", "a string or a list of parts")


def _check_part(part: Any, path: str) -> None:
    """
    Let a content part through that holds nothing but text.

    Looks at names too, not only at `type`: a compatible server may read `image_url` whatever the type says.
    """
    if not isinstance(part, dict):
        raise _wrong(path, "an object")
    kind = part.get("type")
    if not isinstance(kind, str):
        raise _wrong(f"{path}.type", "a string")
    for name in ("image_url", "input_audio", "file"):
        if name in part or kind == name:
            raise ParameterNotAllowedError(f"{path}.{name}", "only text is served yet")
    if kind not in ("text", "refusal"):
        raise ParameterNotAllowedError(f"{path}.type", f"parts of type {kind[:64]} are not served")
    if not isinstance(part.get(kind), str):
        raise _wrong(f"{path}.{kind}", "a string")


# ── tools and schemas ─────────────────────────────────────────────────────────────────────────────────────────────


def _tools(tree: Mapping[str, Any]) -> tuple[int, Extent]:
    """How many tools and functions are offered, and their extent; a tool that the provider runs is refused."""
    extent = Extent()
    tools = _objects(tree, "tools")
    for index, tool in enumerate(tools):
        kind = tool.get("type")
        if not isinstance(kind, str):
            raise _wrong(f"tools[{index}].type", "a string")
        if kind not in ("function", "custom"):
            raise ParameterNotAllowedError(
                f"tools[{index}].type", f"{kind[:64]} is run by the provider, for a fee or unseen"
            )
        extent += _definition_extent(tool.get(kind))
        extent += schema_extent({name: value for name, value in tool.items() if name != kind})
    functions = _objects(tree, "functions")
    for function in functions:
        extent += _definition_extent(function)
    extent += schema_extent(tree.get("function_call"))
    extent += _choice_extent(tree.get("tool_choice"))
    return len(tools) + len(functions), extent


def _definition_extent(definition: Any) -> Extent:
    """A function's own extent; the `$ref`s of its parameters start from the parameters."""
    if not isinstance(definition, dict):
        return schema_extent(definition)
    rest = {name: value for name, value in definition.items() if name != "parameters"}
    return schema_extent(rest) + schema_extent(definition.get("parameters"))


def _choice_extent(choice: Any) -> Extent:
    if isinstance(choice, dict):
        kind = choice.get("type")
        if kind not in ("function", "custom", "allowed_tools"):
            raise ParameterNotAllowedError("tool_choice.type", "only one's own tools are served")
        allowed = choice.get("allowed_tools")
        for index, tool in enumerate(_objects(allowed, "tools") if allowed is not None else ()):
            if tool.get("type") not in ("function", "custom"):
                raise ParameterNotAllowedError(
                    f"tool_choice.allowed_tools.tools[{index}].type",
                    "only one's own tools are served",
                )
    return schema_extent(choice)


def _response_schema(response_format: Any) -> Extent:
    if not isinstance(response_format, dict):
        return schema_extent(response_format)
    named = response_format.get("json_schema")
    if not isinstance(named, dict):
        return schema_extent(response_format)
    rest = {name: value for name, value in named.items() if name != "schema"}
    others = {name: value for name, value in response_format.items() if name != "json_schema"}
    return schema_extent(others) + schema_extent(rest) + schema_extent(named.get("schema"))


# ── embeddings and moderations ────────────────────────────────────────────────────────────────────────────────────


def _embedding(tree: Mapping[str, Any], model: str, unknown: tuple[str, ...]) -> BodyFacts:
    entries = tree.get("input")
    if isinstance(entries, str):
        entries = [entries]
    if not isinstance(entries, list) or not 0 < len(entries) <= INPUTS_MAX:
        raise _wrong("input", f"a string or a list of 1 to {INPUTS_MAX} entries")
    text_bytes, token_ids, texts = 0, 0, len(entries)
    if all(map(_is_token, entries)):
        token_ids, texts = len(entries), 1
    elif all(isinstance(entry, str) for entry in entries):
        text_bytes = message_bytes(entries)
    elif all(isinstance(entry, list) and all(map(_is_token, entry)) for entry in entries):
        token_ids = sum(map(len, entries))
    else:
        raise _wrong("input", "strings, or token numbers, or lists of token numbers")
    return BodyFacts(
        model=model,
        text_bytes=text_bytes,
        messages=texts,
        token_ids=token_ids,
        unknown_parameters=unknown,
    )


def _moderation(tree: Mapping[str, Any], model: str, unknown: tuple[str, ...]) -> BodyFacts:
    entries = tree.get("input")
    if isinstance(entries, str):
        entries = [entries]
    if not isinstance(entries, list):
        raise _wrong("input", "a string or a list")
    for index, entry in enumerate(entries):
        if isinstance(entry, dict):
            _check_part(entry, f"input[{index}]")
        elif not isinstance(entry, str):
            raise _wrong(f"input[{index}]", "a string or a text part")
    return BodyFacts(
        model=model,
        text_bytes=message_bytes(entries),
        messages=len(entries),
        unknown_parameters=unknown,
    )


_READERS: Final[
    Mapping[ModelFamily, Callable[[Mapping[str, Any], str, tuple[str, ...]], BodyFacts]]
] = {"chat": _chat, "embedding": _embedding, "moderation": _moderation}


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _wrong(path: str, expected: str) -> InvalidRequestBodyError:
    return InvalidRequestBodyError(f"{path} has to be {expected}", path)


def _bool(tree: Mapping[str, Any], name: str) -> bool:
    value = tree.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(name, "true or false")
    return value


def _count(tree: Mapping[str, Any], name: str, *, most: int) -> int | None:
    value = tree.get(name)
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= most:  # a bool is an int to Python
        raise _wrong(name, f"an integer from 1 to {most}")
    return value


def _object(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = tree.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(name, "an object")
    return value


def _objects(tree: Any, name: str) -> list[Mapping[str, Any]]:
    """The list of objects called *name*; absent or null is an empty one."""
    value = tree.get(name) if isinstance(tree, dict) else None
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise _wrong(name, "a list of objects")
    return value


def _is_token(value: Any) -> bool:
    return type(value) is int and value >= 0
