"""Reports of what was used."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from tuckshop.services.shapes.parts import Shown, Usd


class UsageRow(Shown, frozen=True, kw_only=True):
    """Sums over one combination of the dimensions asked for; the other dimensions are left out."""

    group: str | UnsetType = UNSET
    member: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    endpoint: str | UnsetType = UNSET
    tag: str | UnsetType | None = UNSET  # null: calls without one
    hour: str | UnsetType = UNSET
    day: str | UnsetType = UNSET
    week: str | UnsetType = UNSET
    month: str | UnsetType = UNSET
    year: str | UnsetType = UNSET
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: Usd


USAGE_SUMS: Final = ("requests", "input_tokens", "output_tokens", "cached_tokens", "cost_usd")


class UsagePage(Shown, frozen=True, kw_only=True):
    """All rows of the report, in the order of the dimensions asked for."""

    data: list[UsageRow]
    time_zone: str
    next_cursor: None = None
