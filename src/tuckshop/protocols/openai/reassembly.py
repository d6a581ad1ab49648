"""
One answer out of a stream that is over: what a person reads of it later.

The pieces of a chat or completion stream are laid together as the official clients do it: texts are joined, what stands
in a list is found by its `index`. A stream of typed events ends with the whole response, which is the answer; one
that broke off before leaves what its deltas said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from tuckshop.protocols.endpoints import Events
from tuckshop.protocols.openai.events import data_of

_EVENT_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
# Said once, or again in every piece: never joined.
_WHOLE: Final = frozenset(
    {"id", "object", "model", "role", "type", "finish_reason", "system_fingerprint", "service_tier"}
)
_TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed")

Json = dict[str, Any]


def answer_of(reply: bytes, *, is_stream: bool, events: Events) -> object:
    """
    The answer that *reply* is, as a JSON value; where it is none, its text.

    Args:
        is_stream: Whether it came as a stream of events.
        events: Of which kind.
    """
    if not is_stream:
        return json_or_text(reply)
    payloads = list(_payloads(reply))
    return _joined(payloads) if events == "chunks" else _told_at_the_end(payloads)


def json_or_text(body: bytes) -> object:
    """*body* as the JSON value that it is, or as text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def texts_in(value: object) -> Iterator[str]:
    """Every text in a JSON value, names of fields left out."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list):
            left += one


def _payloads(reply: bytes) -> Iterator[Json]:
    for event in _EVENT_END.split(reply):
        data = data_of(event)
        if data and data != b"[DONE]":
            found = json_or_text(data)
            if isinstance(found, dict):
                yield found


def _joined(payloads: list[Json]) -> Json:
    answer: Json = {}
    for payload in payloads:
        _lay(answer, payload)
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and isinstance(choice.get("delta"), dict):
            choice["message"] = choice.pop("delta")
    return answer


def _lay(whole: Json, piece: Json) -> None:
    """Add what *piece* says to *whole*."""
    for name, said in piece.items():
        known = whole.get(name)
        if said is None or known is None:
            if name not in whole or said is not None:
                whole[name] = _begun(said)
        elif isinstance(known, str) and isinstance(said, str):
            if name not in _WHOLE:
                whole[name] = known + said
            elif said:
                whole[name] = said
        elif isinstance(known, dict) and isinstance(said, dict):
            _lay(known, said)
        elif isinstance(known, list) and isinstance(said, list):
            _lay_list(known, said)
        else:
            whole[name] = said


def _begun(said: object) -> object:
    """A copy that pieces can be laid into; what stands in a list by its index may come in any order."""
    if isinstance(said, dict):
        whole: Json = {}
        _lay(whole, said)
        return whole
    if isinstance(said, list):
        begun: list[Any] = []
        _lay_list(begun, said)
        return begun
    return said


def _lay_list(whole: list[Any], pieces: list[Any]) -> None:
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, dict) else None
        known = None if index is None else next((one for one in whole if _has(one, index)), None)
        if known is None:
            whole.append(_begun(piece))
        else:
            _lay(known, piece)


def _has(one: object, index: object) -> bool:
    return isinstance(one, dict) and one.get("index") == index


def _told_at_the_end(payloads: list[Json]) -> Json:
    for payload in reversed(payloads):
        response = payload.get("response")
        if payload.get("type") in _TERMINAL and isinstance(response, dict):
            return response
    texts: dict[str, str] = {}
    broken: Json = {"status": "broken off", "deltas": texts}
    for payload in payloads:
        kind, delta = payload.get("type"), payload.get("delta")
        if isinstance(kind, str) and isinstance(delta, str):
            texts[kind] = texts.get(kind, "") + delta
        elif kind == "error":
            broken["error"] = {name: said for name, said in payload.items() if name != "type"}
    return broken
