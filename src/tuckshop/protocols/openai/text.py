"""
How much text of a body may reach the model: the bytes that bound its tokens.

A token covers at least one byte of text, so bytes are counted: all strings, the digits of numbers, and the names in
tools and schemas, which are written into the prompt. Names that every message has are covered by the constant per
message that pricing adds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from tuckshop.protocols.json_body import Number, dump

# More than any context window: the bound is then capped by the window of the model.
UNBOUNDED: Final = 1 << 40
LINE_MARK_TOKENS: Final = 2

# What messages and their parts are made of: these names are in every message, and below them stand others.
_CONTAINERS: Final = frozenset(
    {"content", "custom", "function", "function_call", "prompt_cache_breakpoint", "tool_calls"}
)
_MESSAGE_NAMES: Final = _CONTAINERS | {
    "arguments", "id", "input", "name", "refusal", "role", "text", "tool_call_id", "type",
}  # fmt: skip
# The same of the items of the Responses API.
_ITEM_CONTAINERS: Final = _CONTAINERS | {"output", "summary"}
_ITEM_NAMES: Final = _MESSAGE_NAMES | {
    "call_id", "encrypted_content", "output", "phase", "status", "summary",
}  # fmt: skip
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_NAMING: Final = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,7}")  # one spelling per element


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of text, and how many properties and listed values stand around them."""

    text_bytes: int = 0
    properties: int = 0

    def __add__(self, other: Extent) -> Extent:
        return Extent(
            min(UNBOUNDED, self.text_bytes + other.text_bytes),
            min(UNBOUNDED, self.properties + other.properties),
        )


def item_bytes(node: Any) -> int:
    """`message_bytes` of an item of the Responses API, or a list of them."""
    return message_bytes(node, _ITEM_CONTAINERS, _ITEM_NAMES)


def message_bytes(
    node: Any,
    containers: frozenset[str] = _CONTAINERS,
    names: frozenset[str] = _MESSAGE_NAMES,
) -> int:
    """
    Bytes of text in a message, a part of one, or a list of them.

    What stands where a text belongs, or under a name that no message has, may be written into the prompt as JSON: it
    counts whole, with its names and its punctuation.
    """
    if isinstance(node, str):
        return len(node) if node.isascii() else len(node.encode())
    if isinstance(node, dict):
        total = 0
        for name, value in node.items():
            if isinstance(value, str):
                total += len(value) if value.isascii() else len(value.encode())
            elif name in containers:
                total += message_bytes(value, containers, names)
            else:
                total += json_bytes(value)
            if name not in names:
                total += len(name.encode())
        return total
    if isinstance(node, list):
        return sum(message_bytes(entry, containers, names) for entry in node)
    return _scalar_bytes(node)


def json_bytes(node: Any) -> int:
    """Bytes of *node* as JSON, with a space behind every comma and colon."""
    if not isinstance(node, (dict, list)):
        return message_bytes(node)
    compact = dump(node)
    return len(compact) + compact.count(b",") + compact.count(b":")


def schema_extent(root: Any) -> Extent:
    """
    The extent of a tool, a function or a schema in itself and in all that its `$ref`s stand for.

    A `$ref` counts as often as it is used. One that leads back into itself, or to where nobody can follow, counts
    as `UNBOUNDED`.
    """
    if root is None:
        return Extent()
    try:
        return Extent(*_SchemaWalk(root).extent_of(root))
    except RecursionError:  # a chain of a thousand references
        return Extent(UNBOUNDED)


class _SchemaWalk:
    """
    Adds up one document; each object and list of it is walked once, however often and by what names `$ref`s use it.

    Pointers would not do to know them by: one node has as many as its name has ways to be escaped.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        # Bytes and properties by the identity of a node. None: being walked, so met again means recursion.
        self._known: dict[int, tuple[int, int] | None] = {}

    def extent_of(self, node: Any) -> tuple[int, int]:
        """(bytes of text, properties and listed values) of *node*."""
        if isinstance(node, str):
            text_bytes = len(node) if node.isascii() else len(node.encode())
            # A description is written into the prompt as a comment, with its mark before each line.
            return text_bytes + LINE_MARK_TOKENS * node.count("\n"), 0
        if not isinstance(node, (dict, list)):
            return _scalar_bytes(node), 0
        if id(node) in self._known:
            return self._known[id(node)] or (UNBOUNDED, 0)
        self._known[id(node)] = None
        extent = self._of_list(node) if isinstance(node, list) else self._of_object(node)
        self._known[id(node)] = extent
        return extent

    def _of_list(self, node: list[Any]) -> tuple[int, int]:
        # Each listed value is written with quotes and a separator around it.
        text_bytes, properties = 0, len(node)
        for value in node:
            more_bytes, more_properties = self.extent_of(value)
            text_bytes += more_bytes
            properties += more_properties
        return min(text_bytes, UNBOUNDED), min(properties, UNBOUNDED)

    def _of_object(self, node: dict[str, Any]) -> tuple[int, int]:
        text_bytes, properties = 0, 0
        for name, value in node.items():
            text_bytes += len(name.encode())
            if name in _NAMING and isinstance(value, dict):
                properties += len(value)
            elif name in _REFERENCES and isinstance(value, str):
                more_bytes, more_properties = self._referred(name, value)
                text_bytes += more_bytes
                properties += more_properties
            more_bytes, more_properties = self.extent_of(value)
            text_bytes += more_bytes
            properties += more_properties
        # A schema that doubles at each level soon passes any integer that can be stored.
        return min(text_bytes, UNBOUNDED), min(properties, UNBOUNDED)

    def _referred(self, name: str, pointer: str) -> tuple[int, int]:
        target = self._at(pointer) if name == "$ref" else None
        return (UNBOUNDED, 0) if target is None else self.extent_of(target)

    def _at(self, pointer: str) -> Any:
        """What a JSON pointer such as `#/$defs/Step` names (RFC 6901); None: nothing here."""
        if pointer != "#" and not pointer.startswith("#/"):
            return None
        node = self._root
        for part in pointer.split("/")[1:]:
            step = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict):
                node = node.get(step)
            elif isinstance(node, list) and _INDEX.fullmatch(step) and int(step) < len(node):
                node = node[int(step)]
            else:
                return None
        return node


def _scalar_bytes(node: Any) -> int:
    if isinstance(node, Number):
        return len(node.text)
    # true, false, null and plain numbers; a bool's Python spelling is as long as JSON's.
    return len(repr(node))
