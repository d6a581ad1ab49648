"""Keys."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType

from tuckshop.services.shapes.parts import (
    Instant,
    LimitList,
    OutputCap,
    Sent,
    Shown,
    TextList,
    Versioned,
)
from tuckshop.services.shapes.standing import LimitStanding

ShownKeyState = Literal["active", "paused", "revoked", "expired", "archived"]


class KeyChange(Sent, frozen=True, kw_only=True):
    """Any part of a key. It narrows its member, it never widens."""

    name: str | UnsetType | None = UNSET
    limits: LimitList | UnsetType | None = UNSET
    models: TextList | UnsetType | None = UNSET
    endpoints: TextList | UnsetType | None = UNSET
    max_output_tokens: OutputCap | UnsetType | None = UNSET
    tags: Annotated[list[str], Meta(max_length=20)] | UnsetType | None = UNSET
    expires_at: Instant | UnsetType | None = UNSET


class NewKey(KeyChange, frozen=True, kw_only=True):
    """A key to be issued."""


class Rotation(Sent, frozen=True, kw_only=True):
    """A new secret; the one before opens for *overlap* longer (``24h``, ``7d``), or not at all."""

    overlap: str | None = None


class KeyShape(Versioned, frozen=True, kw_only=True):
    """
    A key, as read. `key` only in the answer that issues or rotates it.

    `note` only where the issuing was repeated too late to show it again.
    """

    moves_by_itself: ClassVar[frozenset[str]] = frozenset(
        {"in_force", "key", "note", "last_used_at"}
    )

    id: str
    key: str | UnsetType = UNSET
    note: str | UnsetType = UNSET
    member: str
    name: str | None
    last4: str
    limits: list[str]
    models: list[str] | None
    endpoints: list[str] | None
    max_output_tokens: int | None
    tags: list[str]
    expires_at: str | None
    last_used_at: str | None
    state: ShownKeyState
    taken_from: str | None  # the gateway that it was taken over from
    in_force: list[LimitStanding]


class KeyPage(Shown, frozen=True, kw_only=True):
    """Keys, oldest first."""

    data: list[KeyShape]
    next_cursor: str | None
