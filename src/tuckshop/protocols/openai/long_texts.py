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
    "embeddings": ("input",),
}
# Those that define functions: their descriptions are written into the prompt as comments.
_DEFINING: Final[Mapping[str, tuple[str, ...]]] = {"chat.completions": ("tools", "functions")}
# In messages. What stands below other names may be written as JSON.
_TEXTS: Final = frozenset({"arguments", "content", "input", "refusal", "text"})
_CONTAINERS: Final = frozenset({"content", "custom", "function", "function_call", "tool_calls"})


class LongText(NamedTuple):
    """A text of the body, in UTF-8."""

    data: bytes
    line_marks: int  # lines that are written with a mark before them


def long_texts(endpoint: Endpoint, tree: Mapping[str, Any]) -> list[LongText]:
    """The long texts of a body that `facts.understand` let through."""
    found = [
        LongText(data, 0)
        for name in _SPOKEN.get(endpoint.name, ())
        for text in _spoken(tree.get(name))
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


def _spoken(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for entry in node:
            yield from _spoken(entry)
    elif isinstance(node, dict):
        for name, value in node.items():
            if isinstance(value, str):
                if name in _TEXTS:
                    yield value
            elif name in _CONTAINERS:
                yield from _spoken(value)


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
