"""Grants."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from tuckshop.services.shapes.parts import Sent, Shown, Usd


class NewGrant(Sent, frozen=True, kw_only=True):
    """Money to be added. `until`: a day, to its end in the group's zone, or a time."""

    amount_usd: Usd
    until: str | None = None
    reason: str | None = None


class NewGrants(NewGrant, frozen=True, kw_only=True):
    """The same for members of a group, by id or external id; unsaid, for all but archived ones."""

    members: Annotated[list[str], Meta(min_length=1, max_length=10_000)] | None = None


class LeftOfGrant(Shown, frozen=True, kw_only=True):
    """What one limit still has of a grant."""

    limit: str
    left_usd: Usd


class GrantShape(Shown, frozen=True, kw_only=True):
    """A grant, as read. Each money limit of the member takes from it for itself, so each has its own rest."""

    id: str
    member: str
    amount_usd: Usd
    until: str | None
    reason: str | None
    granted_at: str
    state: Literal["active", "used up", "past"]
    left: list[LeftOfGrant] | UnsetType = UNSET


class GrantPage(Shown, frozen=True, kw_only=True):
    """Grants of a member, oldest first."""

    data: list[GrantShape]
    next_cursor: str | None


class GrantsMade(Shown, frozen=True, kw_only=True):
    """What was granted to members of a group."""

    data: list[GrantShape]
