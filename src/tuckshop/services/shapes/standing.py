"""How limits stand."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from tuckshop.services.shapes.parts import Shown, Usd


class LimitStanding(Shown, frozen=True, kw_only=True):
    """A limit with its state; money in USD, the rest in counts."""

    limit: str
    scope: Literal["member", "key", "group", "workspace", "upstream"]
    used: Usd | int
    reserved: Usd | int
    remaining: Usd | int
    resets_at: str | None  # None: total. Rolling windows: when all is free again


class OwnLimit(Shown, frozen=True, kw_only=True):
    """A limit that binds the key: its amounts, or for a limit of all together only whether there is room."""

    limit: str
    scope: Literal["member", "key", "group", "workspace", "upstream"]
    used: Usd | int | UnsetType = UNSET
    reserved: Usd | int | UnsetType = UNSET
    remaining: Usd | int | UnsetType = UNSET
    resets_at: str | UnsetType | None = UNSET
    state: Literal["available", "used up"] | UnsetType = UNSET
