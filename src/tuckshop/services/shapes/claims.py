"""Keys and links as they are handed out, and what opening a link shows."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from tuckshop.services.shapes.kept_bodies import Reason
from tuckshop.services.shapes.parts import Sent, Shown

# Where a group hides who its members are: why the rows are to say it. Without, they say pseudonyms.
HandOutReason = Reason | None


class ClaimLinkShape(Shown, frozen=True, kw_only=True):
    """A link, shown once. It opens once, until then."""

    url: str
    expires_at: str


class HandOut(Sent, frozen=True, kw_only=True):
    """Whom keys are handed out to: all active members of the group, or those of `members` (ids)."""

    members: Annotated[list[str], Meta(max_length=10_000)] | None = None
    reissue: bool = False  # a new secret for those who have an active key
    overlap: str | None = None  # how long the secrets that it replaces open on, such as 24h
    reason: HandOutReason = None


class LinksFor(Sent, frozen=True, kw_only=True):
    """Whom links are made for: all active members of the group, or those of `members` (ids)."""

    members: Annotated[list[str], Meta(max_length=10_000)] | None = None
    reason: HandOutReason = None


class HandedOutRow(Shown, frozen=True, kw_only=True):
    """What one member gets: a key or a link, and what it opens, in words."""

    member: str
    external_id: str
    name: str | None
    email: str | None
    action: Literal["issued", "rotated", "linked"]
    key: str | UnsetType = UNSET
    key_id: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    expires_at: str | None  # of the key or of the link
    models: list[str] | None  # names and globs; None: all
    limits: list[str]  # as sentences


class HandedOut(Shown, frozen=True, kw_only=True):
    """Keys or links of a group, each shown once."""

    course: str
    base_url: str | None  # what clients are pointed at; None: TUCKSHOP_PUBLIC_URL is not set
    data: list[HandedOutRow]
    left_out: int  # members who have an active key already, or are not active


class Claim(Sent, frozen=True, kw_only=True):
    """The secret of a link: what stands behind its `#`."""

    secret: Annotated[str, Meta(max_length=200)]


class Snippet(Shown, frozen=True, kw_only=True):
    """A text to be copied, with the key in it."""

    title: str
    text: str


class ClaimedKey(Shown, frozen=True, kw_only=True):
    """What opening a link shows. `key` only here."""

    key: str
    name: str | None
    course: str
    base_url: str
    models: list[str] | None
    limits: list[str]
    expires_at: str | None
    snippets: list[Snippet]
    privacy: list[str]  # what is kept, checked and seen of calls, as sentences
    notice: str | None  # where the institution has its privacy notice
