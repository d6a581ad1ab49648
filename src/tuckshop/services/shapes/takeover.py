"""What is taken over from another gateway, in our own words, and what came of it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from tuckshop.services.shapes.groups import NewGroup
from tuckshop.services.shapes.keys import NewKey
from tuckshop.services.shapes.members import NewMember
from tuckshop.services.shapes.parts import Sent, Shown

ROWS_MAX = 10_000


class TakenMember(NewMember, frozen=True, kw_only=True):
    """A person of one of the groups."""

    group: str
    state: Literal["active", "paused"] = "active"


class TakenKey(NewKey, frozen=True, kw_only=True):
    """A key that is known by the SHA-256 of its secret, and goes on opening."""

    group: str
    external_id: str
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    last4: Annotated[str, Meta(max_length=4)] = ""  # as far as the export tells
    state: Literal["active", "paused", "revoked"] = "active"


class Takeover(Sent, frozen=True, kw_only=True):
    """Groups, their members, and the members' keys."""

    gateway: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9._-]{0,31}$")]
    groups: Annotated[list[NewGroup], Meta(max_length=1_000)]
    members: Annotated[list[TakenMember], Meta(max_length=ROWS_MAX)]
    keys: Annotated[list[TakenKey], Meta(max_length=ROWS_MAX)]


class Taken(Shown, frozen=True, kw_only=True):
    """How many are new, were there already, or could not be taken."""

    new: int = 0
    unchanged: int = 0
    refused: int = 0


class TakeoverError(Shown, frozen=True, kw_only=True):
    """One that could not be taken; the others were."""

    what: Literal["group", "member", "key"]
    name: str
    message: str


class TakeoverReport(Shown, frozen=True, kw_only=True):
    """What was taken over, or in a dry run would be."""

    dry_run: bool
    groups: Taken
    members: Taken
    keys: Taken
    errors: list[TakeoverError]
