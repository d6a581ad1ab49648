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

from tuckshop.protocols.json_body import Number

# More than any context window: the bound is then capped by the window of the model.
UNBOUNDED: Final = 1 << 40

_MESSAGE_NAMES: Final = frozenset(
    {
        "arguments", "content", "custom", "function", "function_call", "id", "input", "name",
        "prompt_cache_breakpoint", "refusal", "role", "text", "tool_call_id", "tool_calls", "type",
    }
)  # fmt: skip
_REFERENCES: Final = ("$dynamicRef", "$recursiveRef")
_NAMING: Final = ("properties", "patternProperties", "$defs", "definitions")
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


def message_bytes(node: Any) -> int:
    """Bytes of text in a message or a part of one."""
    if isinstance(node, str):
        return len(node) if node.isascii() else len(node.encode())
    if isinstance(node, dict):
        total = 0
        for name, value in node.items():
            if name not in _MESSAGE_NAMES:
                total += len(name.encode())
            total += message_bytes(value)
        return total
    if isinstance(node, list):
        return sum(map(message_bytes, node))
    return _scalar_bytes(node)


def schema_extent(root: Any) -> Extent:
    """
    The extent of a tool, a function or a schema in itself and in all that its `$ref`s stand for.

    A `$ref` counts as often as it is used. One that leads back into itself, or to where nobody can follow, counts
    as `UNBOUNDED`.
    """
    if root is None:
        return Extent()
    try:
        return _SchemaWalk(root).extent_of(root)
    except RecursionError:  # a chain of a thousand references
        return Extent(UNBOUNDED)


class _SchemaWalk:
    """Adds up one document; each target of a `$ref` is walked once, however often it is used."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[
            str, Extent | None
        ] = {}  # None: being walked, so met again means recursion

    def extent_of(self, node: Any) -> Extent:
        if isinstance(node, str):
            return Extent(len(node.encode()))
        if isinstance(node, list):
            # Each listed value is written with quotes and a separator around it.
            return sum(map(self.extent_of, node), Extent(0, len(node)))
        if not isinstance(node, dict):
            return Extent(_scalar_bytes(node))
        total = Extent()
        for name, value in node.items():
            total += Extent(len(name.encode()))
            if name == "$ref" and isinstance(value, str):
                total += self._referred(value)
            elif name in _REFERENCES and isinstance(value, str):
                return Extent(UNBOUNDED)
            elif isinstance(value, dict) and name in _NAMING:
                total += Extent(0, len(value))
            total += self.extent_of(value)
        return total

    def _referred(self, pointer: str) -> Extent:
        if pointer in self._known:
            return self._known[pointer] or Extent(UNBOUNDED)
        target = self._at(pointer)
        if target is None:
            return Extent(UNBOUNDED)
        self._known[pointer] = None
        extent = self.extent_of(target)
        self._known[pointer] = extent
        return extent

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
