"""
What a reply says, for a check of it before it goes to the client: of a whole reply, or of a stream as it comes.

A text is any string, wherever it stands, but for what names and numbers the reply itself. In a stream, strings of one
place go together: those of one choice, or of one item. Names in objects are the provider's here, not the model's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tuckshop.protocols.openai.events import data_of
from tuckshop.protocols.openai.usage import UNREADABLE

# What a reply says of itself, of its places, or for the second time.
_OF_ITSELF: Final = frozenset(
    {
        "call_id", "created", "encrypted_content", "event_id", "finish_reason", "id", "item_id", "logprobs", "model",
        "obfuscation", "object", "phase", "response_id", "role", "service_tier", "status", "system_fingerprint",
        "tool_call_id", "type", "usage",
    }
)  # fmt: skip
# A response repeats what was asked; of it only this is said by the model.
_SAID_BY_RESPONSE: Final = frozenset({"error", "incomplete_details", "output"})
_EVENT_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_PLACES: Final = ("output_index", "content_index", "summary_index", "index")

Place = tuple[str | int, ...]


class UnreadableReplyError(Exception):
    """It is not what a reply looks like."""


def texts_of_reply(body: bytes) -> list[str]:
    """
    All texts of a whole reply.

    Raises:
        UnreadableReplyError: It is no JSON.
    """
    said: dict[Place, list[str]] = {}
    for place, text in _texts(_decoded(body), ()):
        said.setdefault(place, []).append(text)
    return ["".join(texts) for texts in said.values()]


def texts_of_events(data: bytes) -> Iterator[tuple[Place, str]]:
    """
    The texts of whole events of a stream, with the place that each goes on at.

    Raises:
        UnreadableReplyError: One of them holds something else than JSON.
    """
    start = 0
    for end in _EVENT_END.finditer(data):
        yield from _texts_of_event(data[start : end.end()])
        start = end.end()
    if start < len(data):
        yield from _texts_of_event(data[start:])


def _texts_of_event(event: bytes) -> Iterator[tuple[Place, str]]:
    payload = data_of(event)
    if not payload or payload == b"[DONE]":
        return
    tree = _decoded(payload)
    kind = tree.get("type") if isinstance(tree, dict) else None
    yield from _texts(tree, (kind,) if isinstance(kind, str) else ())


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except UNREADABLE:
        raise UnreadableReplyError from None


def _texts(node: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(node, str):
        if node:
            yield place, node
    elif isinstance(node, list):
        for index, entry in enumerate(node):
            yield from _texts(entry, (*place, _number(entry, index)))
    elif isinstance(node, dict):
        is_response = node.get("object") == "response"
        place = (*place, *(node[name] for name in _PLACES if isinstance(node.get(name), int)))
        for name, value in node.items():
            if name in _OF_ITSELF or (is_response and name not in _SAID_BY_RESPONSE):
                continue
            yield from _texts(value, (*place, name))


def _number(entry: Any, index: int) -> int:
    """Its own number, where it has one: a chunk lists the one choice that it goes on with."""
    number = entry.get("index") if isinstance(entry, Mapping) else None
    return number if isinstance(number, int) else index
