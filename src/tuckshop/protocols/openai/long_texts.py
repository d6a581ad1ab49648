"""
The texts of a body that are worth counting exactly.

Each is a string that `facts` counts by its bytes, once at least, as it stands. So the bound may become smaller by what
one of them saves, and all others (names, numbers, schemas that are written as JSON) stay at their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tuckshop.protocols.endpoints import Endpoint

LONG_BYTES: Final = 64  # a shorter text saves next to nothing

# The top-level fields of each endpoint whose texts the model reads as they are.
_SPOKEN: Final[Mapping[str, tuple[str, ...]]] = {
    "chat.completions": ("messages",),
    "completions": ("prompt", "suffix"),
    "embeddings": ("input",),
    "responses": ("input", "instructions"),
}
# Those that define functions: their descriptions are written into the prompt as comments.
_DEFINING: Final[Mapping[str, tuple[str, ...]]] = {
    "chat.completions": ("tools", "functions"),
    "responses": ("tools",),
}
# In messages, and in the items of the Responses API. What stands below other names may be written as JSON.
_TEXTS: Final = frozenset({"arguments", "content", "input", "refusal", "text"})
_CONTAINERS: Final = frozenset({"content", "custom", "function", "function_call", "tool_calls"})
_ITEM_TEXTS: Final = _TEXTS | {"output"}
_ITEM_CONTAINERS: Final = _CONTAINERS | {"output", "summary"}


class LongText(NamedTuple):
    """A text of the body, in UTF-8."""

    data: bytes
    line_marks: int  # lines that are written with a mark before them


def long_texts(endpoint: Endpoint, tree: Mapping[str, Any]) -> list[LongText]:
    """The long texts of a body that `facts.understand` let through."""
    texts, containers = (
        (_ITEM_TEXTS, _ITEM_CONTAINERS) if endpoint.name == "responses" else (_TEXTS, _CONTAINERS)
    )
    found = [
        LongText(data, 0)
        for name in _SPOKEN.get(endpoint.name, ())
        for text in _spoken(tree.get(name), texts, containers)
        if (data := _long(text))
    ]
    found += [
        LongText(data, text.count("\n"))
        for name in _DEFINING.get(endpoint.name, ())
        for text in _descriptions(tree.get(name))
        if (data := _long(text))
    ]
    return found


def _long(text: str) -> bytes:
    data = text.encode()
    return data if len(data) >= LONG_BYTES else b""


def _spoken(node: Any, texts: frozenset[str], containers: frozenset[str]) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for entry in node:
            yield from _spoken(entry, texts, containers)
    elif isinstance(node, dict):
        for name, value in node.items():
            if isinstance(value, str):
                if name in texts:
                    yield value
            elif name in containers:
                yield from _spoken(value, texts, containers)


def _descriptions(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for entry in node:
            yield from _descriptions(entry)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "description" and isinstance(value, str):
                yield value
            else:
                yield from _descriptions(value)
