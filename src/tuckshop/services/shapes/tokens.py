"""Tokens of staff."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from tuckshop.services.shapes.parts import Instant, Sent, Shown

TokenRole = Literal["owner", "assistant", "viewer"]
ShownTokenState = Literal["active", "expired", "revoked"]


class NewToken(Sent, frozen=True, kw_only=True):
    """A token to be made: whose, what it may do, in which groups (ids or names), until when."""

    name: str
    role: TokenRole
    groups: Annotated[list[str], Meta(min_length=1, max_length=200)]
    # Unset: as long as the token that makes it; for ever, if the operator does.
    expires_at: Instant | UnsetType | None = UNSET


class TokenShape(Shown, frozen=True, kw_only=True):
    """A token, as read. `token` only in the answer that makes it."""

    id: str
    token: str | UnsetType = UNSET
    name: str
    role: TokenRole
    groups: list[str]
    last4: str
    expires_at: str | None
    state: ShownTokenState
    created_by: str
    created_at: str


class TokenPage(Shown, frozen=True, kw_only=True):
    """Tokens, oldest first."""

    data: list[TokenShape]
    next_cursor: str | None
