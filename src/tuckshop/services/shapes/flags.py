"""Flags, as staff read and resolve them. No content is in them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from tuckshop.domain.flags import FlagAction, FlagSource, FlagState
from tuckshop.services.shapes.parts import Sent, Shown


class FlagShape(Shown, frozen=True, kw_only=True):
    """A content that was found, how often, and what staff said to it."""

    id: str
    at: str
    last_at: str
    repeats: int
    group: str
    member: str
    key: str
    request: str  # the first that it was found in
    source: FlagSource
    action: FlagAction  # what became of the call, the last time
    reasons: list[str]
    scores: dict[str, float]
    own: bool  # the member said it: only such contents count as strikes
    state: FlagState
    paused: str | None  # the member or key that was paused for it and others
    resolved_by: str | None
    resolved_at: str | None
    reason: str | None
    appealed_at: str | None


class AppealShape(Shown, frozen=True, kw_only=True):
    """What a member says to it."""

    at: str
    by: str  # the member, or staff who wrote it down
    reason: str | None  # null: there is nothing left of it


class FlagDetail(FlagShape, frozen=True, kw_only=True):
    """The same, with the calls that it was found in, newest first, and what the member says to it."""

    requests: list[str]
    appeals: list[AppealShape]


class FlagPage(Shown, frozen=True, kw_only=True):
    """Flags, newest first."""

    data: list[FlagShape]
    next_cursor: str | None


class Resolution(Sent, frozen=True, kw_only=True):
    """What staff say to a flag, and whether what its strike paused goes on."""

    state: Literal["upheld", "dismissed"]
    reason: Annotated[str, Meta(min_length=1)]
    resume: bool = False


AppealText = Annotated[str, Meta(min_length=1, max_length=2_000)]


class Appeal(Sent, frozen=True, kw_only=True):
    """What a member says to a flag, written down by staff."""

    reason: AppealText


class AppealLink(Sent, frozen=True, kw_only=True):
    """The secret of a link: what stands behind its `#`."""

    secret: str


class LinkedAppeal(AppealLink, frozen=True, kw_only=True):
    """What the holder of a link says to what was flagged of theirs."""

    reason: AppealText


class OwnFlag(Shown, frozen=True, kw_only=True):
    """A flag, as its member is told of it."""

    at: str
    last_at: str
    repeats: int
    source: FlagSource
    action: FlagAction
    reasons: list[str]
    state: FlagState


class OwnFlags(Shown, frozen=True, kw_only=True):
    """All that was flagged of one member, newest first, to them who hold the link."""

    course: str
    name: str | None
    paused: bool
    expires_at: str
    data: list[OwnFlag]


class AppealTaken(Shown, frozen=True, kw_only=True):
    """It has arrived."""

    at: str
