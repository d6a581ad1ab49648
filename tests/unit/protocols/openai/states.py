"""Limit states for tests of headers and refusals."""

from __future__ import annotations

from tuckshop.domain.limits import parse_limit
from tuckshop.domain.reservation import LimitState, Scope, ScopeKind

NOW_US = 1_795_000_000_000_000  # 2026-11-18 11:06:40 UTC
DECEMBER_US = 1_796_079_600_000_000  # 2026-12-01 00:00 in Berlin


def state(
    limit: str,
    *,
    used: int = 0,
    reserved: int = 0,
    scope: ScopeKind = "member",
    resets_at_us: int | None = DECEMBER_US,
    visible: bool = True,
) -> LimitState:
    return LimitState(
        limit=parse_limit(limit),
        scope=Scope(scope, "id"),
        used=used,
        reserved=reserved,
        resets_at_us=resets_at_us,
        amounts_visible=visible,
        zone_name="Europe/Berlin",
    )
