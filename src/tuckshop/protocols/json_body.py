"""
A request body, parsed once and strictly: what policy and price read is what the upstream will read (M12, E5).

Only what every JSON parser reads alike comes through: UTF-8 without byte order mark, no name twice in an object, no
NaN or Infinity, no lone surrogate; depth, numbers and how many values there are have bounds. Numbers keep their
spelling and objects their order.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

from tuckshop.domain.errors import InvalidRequestBodyError

Tree: TypeAlias = dict[str, Any]  # what `parse` gives: its values end where `facts` reads them

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 1_000_000  # three bytes of body can become a hundred of memory
_INT_MAX: Final = 2**63 - 1
_INT_DIGITS: Final = 20  # a sign and the 19 digits of 2⁶³
_FLOAT_CHARS: Final = 64  # longer spellings say nothing that a double could hold
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_QUOTED_NAME_MAX: Final = 64
# A string, be it without its end, or a mark that a value may follow. Possessive: looked at once.
_STRING_OR_MARK: Final = re.compile(rb'"(?>[^"\\]++|\\.)*+"?|([,\[{])', re.DOTALL)


class Number:
    """
    A number whose spelling would change on its way: ``1.50``, ``1E3``, ``-0``. Kept as it was written.

    No dataclass, because the encoder would write one as an object.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Number({self.text!r})"


def parse(body: bytes, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> Tree:
    """
    The one object that *body* is.

    Returns:
        dict, list, str, int, float, bool, None and `Number`, in the order of the body.
    Raises:
        InvalidRequestBodyError: Not JSON, or JSON that two parsers could read differently.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise InvalidRequestBodyError("it begins with a byte order mark")
    if value_marks(body) > max_values:
        _check_values(body, max_values)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestBodyError(f"byte {error.start} is not UTF-8") from None
    try:
        tree, end = _DECODER.raw_decode(text) if text.startswith("{") else (None, -1)
        if end != len(text):  # white space around it, or it is no such thing
            tree = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidRequestBodyError(
            f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise InvalidRequestBodyError(f"it is nested deeper than {max_depth} levels") from None
    if not isinstance(tree, dict):
        raise InvalidRequestBodyError("it has to be a JSON object, written { … }")
    if text.count("[") + text.count("{") > max_depth:
        _check_depth(tree, max_depth)
    if _SURROGATE_ESCAPE.search(text):
        _check_strings(tree)
    return tree


def value_marks(body: bytes) -> int:
    """
    How many members and elements *body* can have at most: each comes first in its object or list, or after a comma.

    Empty ones, and marks within texts, count too.
    """
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def dump(tree: Any) -> bytes:
    """*tree*, as `parse` gave it, in JSON of the same meaning: same order, same spelling of numbers."""
    return _ENCODER.encode(tree)


def _spelled(value: object) -> msgspec.Raw:
    if isinstance(value, Number):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"{type(value).__name__} is not of a parsed body")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                shown = name[:_QUOTED_NAME_MAX].encode(errors="replace").decode()
                raise InvalidRequestBodyError(f"the name {shown!r} stands twice in one object")
            seen.add(name)
    return found


def _int(text: str) -> int | Number:
    if len(text) <= _INT_DIGITS:
        value = int(text)
        if -_INT_MAX <= value <= _INT_MAX:
            return Number(text) if text == "-0" else value
    raise InvalidRequestBodyError("it has an integer of more than 63 bits")


def _float(text: str) -> float | Number:
    if len(text) > _FLOAT_CHARS:
        raise InvalidRequestBodyError("it has a number that is written too long")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise InvalidRequestBodyError(f"the number {text} is too large")
    # An exponent is spelled in more ways than one.
    return value if repr(value) == text and "e" not in text else Number(text)


def _constant(name: str) -> NoReturn:
    raise InvalidRequestBodyError(f"{name} is not a JSON value")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant
)
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_spelled)


def _check_values(body: bytes, max_values: int) -> None:
    values = 0
    for found in _STRING_OR_MARK.finditer(body):
        if found.lastindex:
            values += 1
            if values > max_values:
                raise InvalidRequestBodyError(f"it has more than {max_values:,} values")


def _check_depth(tree: Any, max_depth: int) -> None:
    level = [tree]
    for _ in range(max_depth):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise InvalidRequestBodyError(f"it is nested deeper than {max_depth} levels")


def _check_strings(tree: Any) -> None:
    """Raise where an escape made a string that UTF-8 cannot carry."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            try:
                node.encode()
            except UnicodeEncodeError:
                raise InvalidRequestBodyError(
                    "it escapes half of a character (\\ud800 …)"
                ) from None
        elif isinstance(node, dict):
            waiting.extend(node.keys())
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
