"""Limits in words, for slips and claim pages: ``$0.20 a month, renews 1 Dec 00:00 (Europe/Berlin)``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tuckshop.domain.limits import Limit, Metric, Rolling, Selector
from tuckshop.domain.money import format_usd
from tuckshop.domain.reservation import LimitInForce
from tuckshop.domain.windows import ZoneHistory, span_at
from tuckshop.domain.wording import counted

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE: Final[Mapping[str, str]] = {
    "second": "a second",
    "minute": "a minute",
    "hour": "an hour",
    "day": "a day",
    "week": "a week",
    "month": "a month",
    "year": "a year",
    "total": "in all",
}
UNSEEN: Final = "limits that everybody shares"


def sentences(limits: Iterable[LimitInForce], now_us: int) -> list[str]:
    """Each of *limits* in words; of those whose amounts a holder does not see, only that there are some."""
    told: list[str] = []
    is_unseen = False
    for one in limits:
        if not one.amounts_visible:
            is_unseen = True
            continue
        text = f"{_amount(one.limit)}{_renewal(one.limit, one.zone, now_us)}"
        if one.scope.kind == "group":
            text += ", for all members together"
        elif one.scope.kind == "key":
            text += ", with this key"
        told.append(text)
    return [*told, UNSEEN] if is_unseen else told


def _amount(limit: Limit) -> str:
    window = limit.window
    if limit.metric is Metric.CONCURRENCY:
        text = f"{counted(limit.amount, 'call')} at a time"
    else:
        noun = limit.metric[:-1] if limit.amount == 1 else str(limit.metric)
        what = (
            format_usd(limit.amount) if limit.metric is Metric.MONEY else f"{limit.amount} {noun}"
        )
        name = window.text if isinstance(window, Rolling) else window
        text = f"{what} {_ONE.get(name) or f'in any {name}'}"
    return f"{text} on {_selected(limit.selector)}" if limit.selector.canonical else text


def _selected(selector: Selector) -> str:
    return ", ".join([*selector.models, *(f"all of {endpoint}" for endpoint in selector.endpoints)])


def _renewal(limit: Limit, zone: ZoneHistory, now_us: int) -> str:
    """When a calendar window starts afresh, in the zone that it follows; nothing for the others."""
    window = limit.window
    if isinstance(window, Rolling) or window in ("now", "total"):
        return ""
    end_us = span_at(window, now_us, zone).end_us  # type: ignore[arg-type]  # a calendar window, as just seen
    assert end_us is not None
    at = (_EPOCH + timedelta(microseconds=end_us)).astimezone(ZoneInfo(zone.current))
    return f", renews {at.day} {at:%b %H:%M} ({zone.current})"
