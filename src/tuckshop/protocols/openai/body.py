"""What is read of a body whatever the endpoint: its facts, and the checks that several endpoints share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tuckshop.domain.errors import InvalidRequestBodyError, ParameterNotAllowedError
from tuckshop.protocols.image_size import ImageInput
from tuckshop.protocols.json_body import MAX_DEPTH, MAX_VALUES
from tuckshop.protocols.openai.text import Extent, schema_extent
from tuckshop.protocols.openai.values import flag, object_at, objects_at, wrong

CAP_MAX: Final = 2**31  # more tokens than any model makes; keeps sums far from 64 bits
CHOICES_MAX: Final = 128
INPUTS_MAX: Final = 2048
IMAGES_MAX: Final = 2_000  # more than the provider takes; each is priced by itself
OWN_TOOLS: Final = ("function", "custom")
# The client runs these too, but their calls and results are items of their own, which nobody here reads yet.
_OWN_LATER: Final = ("apply_patch", "local_shell", "namespace")


class BodyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a body may be, beside its bytes."""

    max_depth: int = MAX_DEPTH
    max_values: int = MAX_VALUES
    model_max_chars: int = 128


class BodyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a body asks for, as far as money, routing and policy need to know."""

    model: str  # as the client wrote it, upstream prefix and all
    stream: bool = False
    wants_usage: bool = False  # the client asks for the usage chunk of a stream
    cap_wanted: int | None = None  # the least that the client's cap fields say, per choice
    cap_fields: tuple[str, ...] = ()  # the fields it says it in
    choices: int = 1  # answers that are generated, of all prompts together
    prompts: int = 1  # inputs that each go to the model by themselves, each up to its window
    text_bytes: int = 0
    messages: int = 0  # messages or items, or texts of an input
    tools: int = 0
    schema_properties: int = 0  # properties and listed values of all schemas
    token_ids: int = 0
    images: tuple[ImageInput, ...] = ()
    echoes: bool = False  # the answer repeats the prompt, so text in it may not be of the model
    unknown_parameters: tuple[
        str, ...
    ] = ()  # top-level names that the endpoint's row does not know


def refuse_dearer_options(tree: Mapping[str, Any]) -> None:
    """
    Tiers, caches and storage as they are priced here, and no other.

    Raises:
        ParameterNotAllowedError, InvalidRequestBodyError: By name.
    """
    if flag(tree, "store"):
        raise ParameterNotAllowedError("store", "nothing is stored at the provider")
    tier = tree.get("service_tier")
    if tier is not None and tier not in ("auto", "default"):
        raise ParameterNotAllowedError("service_tier", "only the default tier is served")
    # Only the usual cache lifetime is priced, and nothing may name another call's cache.
    options = object_at(tree, "prompt_cache_options")
    for name, value in options.items():
        if name == "mode" or (name == "ttl" and value in (None, "30m")):
            continue
        raise ParameterNotAllowedError(f"prompt_cache_options.{name}", "it changes the price")
    if tree.get("prompt_cache_retention") not in (None, "in_memory", "in-memory", "24h"):
        raise ParameterNotAllowedError("prompt_cache_retention", "this value has no known price")
    key = tree.get("prompt_cache_key")
    if key is not None and not isinstance(key, str):
        raise wrong("prompt_cache_key", "a string")


def check_breakpoint(part: Mapping[str, Any], path: str) -> None:
    """A mark of where the cache begins may not ask for the lifetime that costs twice as much."""
    mark = part.get("prompt_cache_breakpoint")
    if mark is None:
        return
    if not isinstance(mark, dict):
        raise wrong(f"{path}.prompt_cache_breakpoint", "an object")
    if mark.get("ttl") not in (None, "30m"):
        raise ParameterNotAllowedError(
            f"{path}.prompt_cache_breakpoint.ttl", "it changes the price"
        )


def stream_options(options: Any, *, stream: bool, known: tuple[str, ...]) -> Mapping[str, Any]:
    """
    The options of a stream, all of them *known*.

    Raises:
        ParameterNotAllowedError, InvalidRequestBodyError: By name; or the call does not stream.
    """
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise wrong("stream_options", "an object")
    if not stream:
        raise InvalidRequestBodyError(
            "stream_options is only for calls with stream: true", "stream_options"
        )
    for name in options:
        if name not in known:
            raise ParameterNotAllowedError(f"stream_options.{name}", "it is not known here")
    return options


def wants_usage(tree: Mapping[str, Any], *, stream: bool) -> bool:
    """Does the client ask for the usage chunk of a stream of chunks?"""
    known = ("include_usage", "include_obfuscation")
    options = stream_options(tree.get("stream_options"), stream=stream, known=known)
    wants = options.get("include_usage")
    if wants is not None and not isinstance(wants, bool):
        raise wrong("stream_options.include_usage", "true or false")
    return bool(wants)


def check_tool(tool: Mapping[str, Any], path: str) -> str:
    """
    The type of a tool that the client runs itself.

    Raises:
        ParameterNotAllowedError: The provider runs it, for a fee or unseen; or it is not served yet.
    """
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise wrong(f"{path}.type", "a string")
    if kind in _OWN_LATER:
        raise ParameterNotAllowedError(
            f"{path}.type", f"{kind} is not served yet: offer it as a function or a custom tool"
        )
    if kind not in OWN_TOOLS:
        raise ParameterNotAllowedError(
            f"{path}.type", f"{kind[:64]} is run by the provider, for a fee or unseen"
        )
    return kind


def definition_extent(definition: Any) -> Extent:
    """A function's own extent; the `$ref`s of its schemas start from each schema."""
    if not isinstance(definition, dict):
        return schema_extent(definition)
    extent = Extent()
    rest = dict(definition)
    for name in ("parameters", "output_schema"):
        extent += schema_extent(rest.pop(name, None))
    return extent + schema_extent(rest)


def choice_extent(choice: Any, allowed: Any, path: str) -> Extent:
    """
    The extent of a `tool_choice`, whose list of *allowed* tools stands at *path*.

    Raises:
        ParameterNotAllowedError: It names a tool that the provider runs.
    """
    if isinstance(choice, dict):
        if choice.get("type") not in (*OWN_TOOLS, "allowed_tools"):
            raise ParameterNotAllowedError("tool_choice.type", "only one's own tools are served")
        for index, tool in enumerate(objects_at(allowed, "tools", path)):
            if tool.get("type") not in OWN_TOOLS:
                raise ParameterNotAllowedError(
                    f"{path}tools[{index}].type", "only one's own tools are served"
                )
    return schema_extent(choice)
