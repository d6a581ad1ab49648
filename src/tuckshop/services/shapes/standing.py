"""How limits stand."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from tuckshop.services.shapes.parts import Shown, Usd


class LimitStanding(Shown, frozen=True, kw_only=True):
    """
    A limit with its state; money in USD, the rest in counts.

    `lifted` is what open grants and what was carried over add to the amount: used, reserved and remaining add up to
    both. Of a limit over more than who asks may see, `state` tells only whether there is room, and no amounts.
    """

    limit: str
    scope: Literal["member", "key", "group", "workspace", "upstream"]
    used: Usd | int | UnsetType = UNSET
    reserved: Usd | int | UnsetType = UNSET
    remaining: Usd | int | UnsetType = UNSET
    lifted: Usd | UnsetType = UNSET  # absent where nothing does
    resets_at: str | UnsetType | None = UNSET  # None: total. Rolling: when all is free again
    state: Literal["available", "used up"] | UnsetType = UNSET
