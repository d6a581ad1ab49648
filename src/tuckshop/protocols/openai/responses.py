"""
What a body of POST /responses asks for.

Until what is kept at the provider is kept apart by holder, a body must bring all that the model is to read: whatever
names something at the provider (an earlier response, a conversation, a stored prompt, a file, a container, an item) is
refused by its path, at any depth. So are the tools that the provider runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tuckshop.domain.errors import ParameterNotAllowedError
from tuckshop.protocols.image_size import ImageInput
from tuckshop.protocols.openai.body import (
    CAP_MAX,
    BodyFacts,
    check_breakpoint,
    check_tool,
    choice_extent,
    definition_extent,
    refuse_dearer_options,
    stream_options,
)
from tuckshop.protocols.openai.images import read_image
from tuckshop.protocols.openai.text import Extent, item_bytes, schema_extent
from tuckshop.protocols.openai.values import count, flag, object_at, objects_at, wrong

CAP_LEAST: Final = 16  # the provider takes no smaller `max_output_tokens`

# Libraries that name items by their id stop doing so when they are told that nothing is stored.
_BY_ID_ALONE: Final = (
    "nothing is stored at the provider, so say store: false and send the item itself"
)
_KEPT: Final = "what is kept at the provider is not kept apart by holder yet: send the whole input"
_REFUSED: Final = {
    "access_programs": "it is an entitlement of the account",
    "background_options": "a call in the background is billed after its reply",
    "context_management": "it makes the model run once more, at a cost that cannot be bounded",
    "conversation": _KEPT,
    "image": "how it is billed is not known",
    "moderation": "moderation inside a call has no known price",
    "multi_agent": "it makes any number of models run",
    "previous_response_id": _KEPT,
    "prompt": "a stored prompt may hold instructions, tools and a model that nobody here has seen",
}
# At any depth: names of things that are kept at the provider.
_REFERENCES: Final = frozenset(
    {
        "comparison_response_id", "connector_id", "container", "container_id", "environment", "file_id", "file_ids",
        "file_url", "previous_response_id", "skill_id", "skills", "tunnel_id", "vector_store_ids",
    }
)  # fmt: skip
# Names that are the client's own below them: schemas and labels. By the name of what they stand in; None: the body.
_CLIENTS_OWN: Final[Mapping[str | None, frozenset[str]]] = {
    None: frozenset({"metadata"}),
    "format": frozenset({"schema"}),
    "tools": frozenset({"parameters", "output_schema"}),
}
_REASONING: Final = frozenset({"context", "effort", "generate_summary", "mode", "summary"})
# The items that are served, with the field that says all there is to an item of this type.
_ITEMS: Final[Mapping[str, str]] = {
    "additional_tools": "tools",
    "custom_tool_call": "input",
    "custom_tool_call_output": "output",
    "function_call": "arguments",
    "function_call_output": "output",
    "message": "content",
    "reasoning": "encrypted_content",
}
# The text of a part stands in the field named here.
_TEXT_PARTS: Final = {
    "input_text": "text",
    "output_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
    "summary_text": "text",
    "text": "text",
}
_NO_TEXT: Final = ("file", "file_data", "image_url", "input_audio")


def read_response(tree: Mapping[str, Any], model: str, unknown: tuple[str, ...]) -> BodyFacts:
    """The facts of a body of POST /responses and of its token count; raises as `understand` does."""
    for name, reason in _REFUSED.items():
        if tree.get(name) is not None:
            raise ParameterNotAllowedError(name, reason)
    if flag(tree, "background"):
        raise ParameterNotAllowedError("background", _REFUSED["background_options"])
    refuse_dearer_options(tree)
    reference = _reference_in(tree)
    if reference is not None:
        raise ParameterNotAllowedError(reference.removeprefix("."), _KEPT)
    _check_reasoning(tree)
    stream = flag(tree, "stream")
    stream_options(tree.get("stream_options"), stream=stream, known=("include_obfuscation",))
    cap = count(tree, "max_output_tokens", most=CAP_MAX, least=CAP_LEAST)
    instructions = tree.get("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise wrong("instructions", "a string")
    reader = _Input()
    items = reader.read(tree.get("input"))
    extent = reader.extent + reader.tools_extent(tree, "")
    extent += choice_extent(tree.get("tool_choice"), tree.get("tool_choice"), "tool_choice.")
    extent += _text_format(object_at(tree, "text"))
    return BodyFacts(
        model=model,
        stream=stream,
        cap_wanted=cap,
        cap_fields=() if cap is None else ("max_output_tokens",),
        text_bytes=item_bytes(items) + item_bytes(instructions or "") + extent.text_bytes,
        messages=len(items) + (instructions is not None),
        tools=reader.tools,
        schema_properties=extent.properties,
        images=tuple(reader.images),
        unknown_parameters=unknown,
    )


def _check_reasoning(tree: Mapping[str, Any]) -> None:
    reasoning = object_at(tree, "reasoning")
    if reasoning.get("mode") not in (None, "standard"):
        raise ParameterNotAllowedError("reasoning.mode", "it makes the model work many times over")
    for name in reasoning:
        if name not in _REASONING:
            raise ParameterNotAllowedError(f"reasoning.{name}", "it is not known here")


def _text_format(text: Mapping[str, Any]) -> Extent:
    named = text.get("format")
    if not isinstance(named, dict):
        return schema_extent(text)
    others = {name: value for name, value in text.items() if name != "format"}
    rest = {name: value for name, value in named.items() if name != "schema"}
    return schema_extent(others) + schema_extent(rest) + schema_extent(named.get("schema"))


def _reference_in(node: Any, called: str | None = None) -> str | None:
    """
    The path, from *node* on, of the first name of something that is kept at the provider.

    It is put together only once it is found: names may be long and many.

    Args:
        called: The name of *node*, or of the list that it stands in.
    """
    if isinstance(node, dict):
        own = _CLIENTS_OWN.get(called, frozenset())
        for name, value in node.items():
            if value is None or name in own:
                continue
            if name in _REFERENCES:
                return f".{name}"
            below = _reference_in(value, name)
            if below is not None:
                return f".{name}{below}"
    elif isinstance(node, list):
        for index, value in enumerate(node):
            below = _reference_in(value, called)
            if below is not None:
                return f"[{index}]{below}"
    return None


class _Input:
    """Reads the `input`: what is text is left in it, images, tools and their extent are put aside."""

    def __init__(self) -> None:
        self.images: list[ImageInput] = []
        self.tools = 0
        self.extent = Extent()

    def read(self, given: Any) -> list[Any]:
        """The items without their images and tools."""
        if given is None:
            return []  # instructions alone may do; the provider is the judge
        if isinstance(given, str):
            return [given]
        if not isinstance(given, list):
            raise wrong("input", "a string or a list of items")
        return [self._item(item, f"input[{index}]") for index, item in enumerate(given)]

    def tools_extent(self, tree: Mapping[str, Any], path: str) -> Extent:
        """The extent of the tools in *tree*; counts them. One that the provider runs is refused."""
        extent = Extent()
        tools = objects_at(tree, "tools", path)
        self.tools += len(tools)
        for index, tool in enumerate(tools):
            check_tool(tool, f"{path}tools[{index}]")
            extent += definition_extent(tool)
        return extent

    def _item(self, item: Any, path: str) -> Mapping[str, Any]:
        if not isinstance(item, dict):
            raise wrong(path, "an object")
        # Tools are looked for whatever the item says it is.
        self.extent += self.tools_extent(item, f"{path}.")
        kind = item.get("type")
        if kind is None and "role" in item:
            kind = "message"
        if kind is None:
            raise ParameterNotAllowedError(f"{path}.id", _KEPT)  # a reference needs no type
        if not isinstance(kind, str):
            raise wrong(f"{path}.type", "a string")
        if kind == "item_reference":
            raise ParameterNotAllowedError(f"{path}.type", _BY_ID_ALONE)
        said = _ITEMS.get(kind)
        if said is None:
            raise ParameterNotAllowedError(
                f"{path}.type", f"items of type {kind[:64]} are not served"
            )
        if kind == "reasoning":
            self._check_reasoning_item(item, path)
        elif item.get("id") is not None and item.get(said) is None:
            raise ParameterNotAllowedError(
                f"{path}.id", f"without `{said}` the item would be looked up at the provider"
            )
        left = {name: value for name, value in item.items() if name != "tools"}
        for name in ("content", "output", "summary"):
            if name in left:
                left[name] = self._parts(left[name], f"{path}.{name}")
        return left

    def _check_reasoning_item(self, item: Mapping[str, Any], path: str) -> None:
        """Without its content the provider would look it up among what it keeps."""
        if not item.get("encrypted_content") and not item.get("content"):
            raise ParameterNotAllowedError(
                f"{path}.encrypted_content",
                "without it the item would be looked up at the provider: ask for it with"
                ' store: false and include: ["reasoning.encrypted_content"]',
            )
        sealed = item.get("encrypted_content")
        if sealed is not None and not isinstance(sealed, str):
            raise wrong(f"{path}.encrypted_content", "a string")

    def _parts(self, parts: Any, path: str) -> Any:
        if isinstance(parts, list):
            return [self._part(part, f"{path}[{index}]") for index, part in enumerate(parts)]
        if parts is not None and not isinstance(parts, str):
            raise wrong(path, "a string or a list of parts")
        return parts

    def _part(self, part: Any, path: str) -> Mapping[str, Any]:
        if not isinstance(part, dict):
            raise wrong(path, "an object")
        check_breakpoint(part, path)
        kind = part.get("type")
        if not isinstance(kind, str):
            raise wrong(f"{path}.type", "a string")
        if kind == "input_image":
            image = read_image(part.get("image_url"), part.get("detail"), f"{path}.image_url")
            self.images.append(image)
            return {
                name: value for name, value in part.items() if name not in ("image_url", "detail")
            }
        for (
            name
        ) in _NO_TEXT:  # whatever the type says: a compatible server may look at the name alone
            if part.get(name) is not None:
                raise ParameterNotAllowedError(f"{path}.{name}", "it is not served here")
        text = _TEXT_PARTS.get(kind)
        if text is None:
            raise ParameterNotAllowedError(
                f"{path}.type", f"parts of type {kind[:64]} are not served"
            )
        if not isinstance(part.get(text), str):
            raise wrong(f"{path}.{text}", "a string")
        return part
