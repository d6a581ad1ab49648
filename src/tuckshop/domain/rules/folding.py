"""
Texts as they look, whatever characters they are written with: wide or bold letters, other digits, hidden marks.

Everything here takes time in proportion to the text. Unicode's own normal forms do not: a long run of combining marks
is sorted by exchanging neighbours. So such runs are cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from unicodedata import category, decimal, normalize

# Characters that nothing is drawn for: Default_Ignorable_Code_Point of Unicode 15.
_HIDDEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Marks that are put on any letter, to strike it through or to decorate it; those of a script are its spelling.
_DECORATION: Final = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
# A character of ASCII begins anew, so a text may be cut before it and put together again.
_STRETCH: Final = re.compile("[\\x00-\\x7f]?[^\\x00-\\x7f]{1,256}")


def visible(text: str) -> str:
    """*text* without hidden characters, each of the others in its plain form (NFKC)."""
    if text.isascii():
        return text
    return _STRETCH.sub(_plain_stretch, _HIDDEN.sub("", text))


def folded(text: str) -> str:
    """The same without case and decoration, to compare words by."""
    if text.isascii():
        return text.lower()
    return _STRETCH.sub(_folded_stretch, _HIDDEN.sub("", text).casefold())


def _plain_stretch(found: re.Match[str]) -> str:
    return normalize("NFKC", found[0])


def _folded_stretch(found: re.Match[str]) -> str:
    # Case once more: only the plain form of a bold capital has any.
    return _DECORATION.sub("", normalize("NFKC", normalize("NFKC", found[0]).casefold()))


class Plain(NamedTuple):
    """A text in plain characters, and where each of them stands in the original."""

    text: str
    places: Sequence[int] | None  # None: each where it stands here

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The part of the original that the part of this one is from."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def plain(text: str) -> Plain:
    """*text* with plain letters, ASCII digits, hyphens and spaces, and without hidden characters."""
    if text.isascii():
        return Plain(text, None)
    table = {
        ord(character): simple
        for character in set(text)
        if not character.isascii() and (simple := _simple(character)) != character
    }
    if not table:
        return Plain(text, None)
    if all(len(simple) == 1 for simple in table.values()):
        return Plain(text.translate(table), None)
    return _spread(text, table)


def _spread(text: str, table: Mapping[int, str]) -> Plain:
    places = [
        place for place, character in enumerate(text) for _ in table.get(ord(character), character)
    ]
    return Plain(text.translate(table), places)


def _simple(character: str) -> str:
    if _HIDDEN.match(character):
        return ""
    return "".join(map(_simplest, normalize("NFKC", character)))


def _simplest(character: str) -> str:
    if character.isascii():
        return character
    kind = category(character)
    if kind == "Nd":
        return str(decimal(character))
    return {"Pd": "-", "Zs": " "}.get(kind, character)
