"""Who is behind a pseudonym, and why somebody wants to know."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tuckshop.services.shapes.kept_bodies import Reason
from tuckshop.services.shapes.parts import Sent, Shown


class WithReason(Sent, frozen=True, kw_only=True):
    """Why. It is kept in the audit trail, so it names nobody."""

    reason: Reason


class IdentitySearch(WithReason, frozen=True, kw_only=True):
    """Whose pseudonyms are looked for."""

    external_id: Annotated[str, Meta(min_length=1, max_length=200)]


class Membership(Shown, frozen=True, kw_only=True):
    """A member of a group that hides who its members are, or of another one."""

    member: str
    group: str
    pseudonym: str


class Identity(Membership, frozen=True, kw_only=True):
    """Who a member is, and as whom else they are known in the groups that the asker sees."""

    external_id: str
    name: str | None
    email: str | None
    others: list[Membership]


class IdentityPage(Shown, frozen=True, kw_only=True):
    """The members that are one person, oldest first."""

    data: list[Identity]
    next_cursor: None = None
