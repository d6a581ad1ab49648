"""
Personal data in texts, as far as its form tells: e-mail addresses, and numbers with a check digit or a country code.

Each scanner goes through a text once: none of its patterns begins within what it has just looked at, and none can
be matched in more than a bounded number of ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from tuckshop.domain.rules.folding import plain
from tuckshop.domain.rules.rules import PiiAction, PiiKind


class Found(NamedTuple):
    """A piece of personal data in a text."""

    kind: PiiKind
    start: int
    end: int


_Spans = Iterator[tuple[int, int]]

_LOCAL: Final = r"[\w.!#$%&'*+/=?^`{|}~-]"
_EMAIL: Final = re.compile(rf"(?<!{_LOCAL}){_LOCAL}++@(?:[\w-]++\.)+[^\W\d_]{{2,}}+")

# In one piece, or in the groups that are printed on cards.
_CARD: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9]{13,19}"
    r"|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?![0-9A-Za-z])"
)
_CARD_BEGINS: Final = re.compile(r"3|4|5|6|2[2-7]")  # ISO/IEC 7812: banks and cards

_IBAN_BEGINS: Final = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?=[ -]?[0-9A-Za-z])")
# Characters of an IBAN by country: SWIFT's registry, release 99 (December 2024).
_IBAN_CHARACTERS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE", "BI"), 16),
    **dict.fromkeys(("DK", "FI", "FK", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    "LC": 32,
    "RU": 33,
}
_IBAN_RESTS: Final = {
    length: re.compile(rf"(?:[ -]?[0-9A-Za-z]){{{length - 4}}}(?![0-9A-Za-z])")
    for length in set(_IBAN_CHARACTERS.values())
}
_BETWEEN: Final = str.maketrans("", "", " -")

# In its international form; national numbers look like any other number.
_PHONE: Final = re.compile(
    r"(?<![0-9A-Za-z+])(?:\+|(?<![0-9][ -])00)[ ]?[1-9](?:[ ().\/-]{0,2}[0-9]){7,14}(?![0-9A-Za-z])"
)


def _emails(text: str) -> _Spans:
    if "@" in text:
        for found in _EMAIL.finditer(text):
            yield found.span()


def _cards(text: str) -> _Spans:
    for found in _CARD.finditer(text):
        if _CARD_BEGINS.match(found[0]) and _is_luhn(found[0].translate(_BETWEEN)):
            yield found.span()


def _ibans(text: str) -> _Spans:
    for found in _IBAN_BEGINS.finditer(text):
        length = _IBAN_CHARACTERS.get(found[0][:2].upper())
        rest = None if length is None else _IBAN_RESTS[length].match(text, found.end())
        if rest is not None and _is_mod_97((found[0] + rest[0]).translate(_BETWEEN)):
            yield found.start(), rest.end()


def _phones(text: str) -> _Spans:
    for found in _PHONE.finditer(text):
        yield found.span()


_SCANNERS: Final[Mapping[PiiKind, Callable[[str], _Spans]]] = {
    "iban": _ibans,
    "credit_card": _cards,
    "email": _emails,
    "phone": _phones,
}
_GRAVEST_FIRST: Final[tuple[PiiAction, ...]] = ("block", "redact", "flag")


def find(text: str, wanted: Mapping[PiiKind, PiiAction]) -> list[Found]:
    """
    What stands in *text* of the kinds *wanted*, from its beginning on.

    No two share a character: what overlaps is one, of the kind on which the graver action stands.
    """
    simple = plain(text)
    found = [
        Found(kind, *simple.span(*span))
        for kind in sorted(_SCANNERS.keys() & wanted.keys())
        for span in _SCANNERS[kind](simple.text)
    ]
    if len(found) < 2:
        return found
    ranks = {
        kind: (_GRAVEST_FIRST.index(wanted[kind]), place)
        for place, kind in enumerate(_SCANNERS)
        if kind in wanted
    }
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start, ranks[one.kind])):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
            continue
        last = kept[-1]
        kind = min(last.kind, one.kind, key=lambda kind: ranks[kind])
        kept[-1] = Found(kind, last.start, max(last.end, one.end))
    return kept


def _is_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_mod_97(iban: str) -> bool:
    """ISO 13616: the first four characters behind the others, letters as 10 to 35."""
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1
