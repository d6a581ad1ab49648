"""Members."""

from __future__ import annotations

from typing import ClassVar

from msgspec import UNSET, UnsetType

from tuckshop.domain.records import State
from tuckshop.services.shapes.parts import LimitList, OutputCap, Sent, Shown, TextList, Versioned
from tuckshop.services.shapes.standing import LimitStanding


class MemberChange(Sent, frozen=True, kw_only=True):
    """Any part of a member."""

    external_id: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    limits: LimitList | UnsetType | None = UNSET
    models: TextList | UnsetType | None = UNSET
    endpoints: TextList | UnsetType | None = UNSET
    max_output_tokens: OutputCap | UnsetType | None = UNSET


class NewMember(MemberChange, frozen=True, kw_only=True):
    """A member to be added, or changed where the external id is in the group already."""

    external_id: str


class MemberShape(Versioned, frozen=True, kw_only=True):
    """
    A member, as read. `key` only where one was issued just now.

    `note` only where the issuing was repeated too late to show it again.
    """

    moves_by_itself: ClassVar[frozenset[str]] = frozenset({"in_force", "key", "note"})

    id: str
    group: str
    external_id: str
    name: str | None
    email: str | None
    limits: list[str]
    models: list[str] | None
    endpoints: list[str] | None
    max_output_tokens: int | None
    state: State
    pseudonymous: bool  # the group hides who they are: `external_id` is a pseudonym
    in_force: list[LimitStanding]
    key: str | UnsetType = UNSET
    note: str | UnsetType = UNSET


class MemberPage(Shown, frozen=True, kw_only=True):
    """Members, oldest first."""

    data: list[MemberShape]
    next_cursor: str | None
