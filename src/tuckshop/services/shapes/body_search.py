"""Looking for a text in what is kept of calls."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from tuckshop.services.shapes.kept_bodies import Reason
from tuckshop.services.shapes.parts import Sent, Shown

HITS_DEFAULT = 50


class BodyQuery(Sent, frozen=True, kw_only=True):
    """What is looked for, and why. Times are RFC 3339, or a day in UTC."""

    reason: Reason
    q: Annotated[str, Meta(min_length=1, max_length=200)]  # as it stands, whatever signs it holds
    group: str | None = None
    member: str | None = None
    since: str | None = None
    until: str | None = None  # not included
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = HITS_DEFAULT


class BodyHit(Shown, frozen=True, kw_only=True):
    """A call in which it stands."""

    id: str
    at: str
    group: str
    member: str
    where: Literal["request", "reply"]
    excerpt: str


class BodyHitPage(Shown, frozen=True, kw_only=True):
    """Calls, newest first. A page may end early, and the next one goes on from there."""

    data: list[BodyHit]
    looked_at: int  # bodies
    unreadable: int  # of them: the person was erased, or it is damaged
    next_cursor: str | None
