"""Forecasts: how long budgets that several share will last."""

from __future__ import annotations

from typing import Literal

from tuckshop.services.shapes.parts import Shown, Usd


class BudgetForecast(Shown, frozen=True, kw_only=True):
    """A budget at the pace of the last seven days."""

    limit: str
    scope: Literal["group", "workspace"]
    used_usd: Usd  # what running calls hold included
    remaining_usd: Usd
    renews_at: str | None  # null for total
    per_day_usd: Usd | None  # null: less than a day of calls is known
    window_per_day_usd: Usd | None  # the same since the running window began; null for total
    outlook: Literal["ends", "lasts", "used_up", "unknown"]
    ends_at: str | None
    sentence: str


class ForecastPage(Shown, frozen=True, kw_only=True):
    """Each budget that the group's members share, those of the workspace too."""

    data: list[BudgetForecast]
    time_zone: str
    next_cursor: None = None
