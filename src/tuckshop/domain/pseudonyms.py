"""
Pseudonyms for staff: what a member is called where a group hides who its members are.

A pseudonym is the member's own id, made readable: two words to say aloud, five characters so that no two of a group
share one. The id is random and staff see it anyway, so the pseudonym tells nothing more; it stays as long as the member
does, and the same person has another one in every group. It is not the one that the provider is given.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Final

from tuckshop.domain.records import Member

_FIRST_WORDS: Final = (
    "amber ashen azure birch bright brisk bronze calm cedar clear clever copper coral crisp curious "
    "dapper eager early fair fern fleet frosty gentle glad golden grand green happy hazel humble indigo "
    "ivory jade jolly keen kind lilac lively lucky lunar maple mellow merry mild mint misty modest neat "
    "nimble noble olive opal patient pearl polar proud quick quiet ready rosy rustic sage silver sunny"
)
_SECOND_WORDS: Final = (
    "alder anchor arrow aspen badger beacon bridge brook cello clover comet compass condor crane curlew "
    "daisy dolphin falcon feather fiddle finch fjord garden glacier harbor heron hill ibis island juniper "
    "kestrel kite lagoon lantern lark linden lotus marten meadow meteor moon orchid osprey otter owl "
    "panda pebble pine planet plover poplar prairie raven reef river robin seal sparrow star swift "
    "thistle violet willow wren"
)
_FIRST: Final = _FIRST_WORDS.split()
_SECOND: Final = _SECOND_WORDS.split()
_CHARACTERS: Final = (
    "0123456789abcdefghjkmnpqrstvwxyz"  # without i, l, o, u: none is taken for another
)
_TAIL: Final = 5
_SHAPE: Final = re.compile(r"[a-z]+-[a-z]+-[0-9a-z]{5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who a member is: what pseudonyms stand in for. Shown in no `repr`."""

    external_id: str = field(repr=False)
    name: str | None = field(repr=False)
    email: str | None = field(repr=False)


def pseudonym_of(member_id: str) -> str:
    """What the member with this id is called."""
    number = int.from_bytes(hashlib.blake2b(member_id.encode(), digest_size=8).digest(), "big")
    number, first = divmod(number, len(_FIRST))
    number, second = divmod(number, len(_SECOND))
    tail = ""
    for _ in range(_TAIL):
        number, character = divmod(number, len(_CHARACTERS))
        tail += _CHARACTERS[character]
    return f"{_FIRST[first]}-{_SECOND[second]}-{tail}"


def under_pseudonym(member: Member) -> Member:
    """*member* as staff see them who do not see names."""
    return replace(member, external_id=pseudonym_of(member.id), name=None, email=None)


def looks_like_one(text: str) -> bool:
    """Whether *text* has the shape of a pseudonym."""
    return _SHAPE.fullmatch(text.strip()) is not None
