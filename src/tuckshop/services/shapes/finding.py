"""Finding whose a key is by its secret."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from tuckshop.domain.records import State
from tuckshop.services.shapes.keys import KeyShape
from tuckshop.services.shapes.parts import Sent, Shown, Usd


class FindKeys(Sent, frozen=True, kw_only=True):
    """A key, or any text in which keys stand."""

    text: Annotated[str, Meta(min_length=1, max_length=1_000_000)]


class Owner(Shown, frozen=True, kw_only=True):
    """Whose a key is, and what it spent in the last 30 days."""

    group: str  # its name
    member: str
    external_id: str
    name: str | None
    email: str | None
    state: State
    spent_usd: Usd


class Finding(Shown, frozen=True, kw_only=True):
    """
    What one secret is, told by its beginning and end.

    current: of that key. previous: of that key before its rotation. unknown: rightly spelled, and of no key here (of
    another server, or rotated away). mistyped: its checksum is wrong. foreign: of another format, and not taken over.
    """

    seen: str
    verdict: Literal["current", "previous", "unknown", "mistyped", "foreign"]
    opens: bool  # would a call with it be let in now?
    opens_until: str | None = None  # of a secret before a rotation
    owner: Owner | None = None
    key: KeyShape | None = None


class FoundKeys(Shown, frozen=True, kw_only=True):
    """What was found, in the order in which it stands in the text."""

    data: list[Finding]
