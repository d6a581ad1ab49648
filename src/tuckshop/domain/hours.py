"""Hours of a zone's clock: the stretches of usage that are shorter than any window of a limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tuckshop.domain.windows import Span

_US: Final = 1_000_000
_HOUR_US: Final = 3_600 * _US
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def hour_at(at_us: int, zone_name: str) -> Span:
    """
    The hour of the clocks in that zone which holds *at_us*.

    Its id tells the offset too, so that the hour which clocks run through twice is two. Where they change in mid-hour
    (Lord Howe Island, by half an hour), the hour ends there and another begins.
    """
    zone = ZoneInfo(zone_name)
    offset_us = _offset_us(at_us, zone)
    start_us = at_us - (at_us + offset_us) % _HOUR_US
    end_us = start_us + _HOUR_US
    if _offset_us(start_us, zone) != offset_us:
        start_us = _change_us(start_us, at_us, zone)
    if _offset_us(end_us - 1, zone) != offset_us:
        end_us = _change_us(at_us, end_us - 1, zone)
    local = (_EPOCH + timedelta(microseconds=start_us)).astimezone(zone)
    return Span(local.isoformat(timespec="minutes"), start_us, end_us)


def _offset_us(at_us: int, zone: ZoneInfo) -> int:
    offset = (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


def _change_us(low_us: int, high_us: int, zone: ZoneInfo) -> int:
    """The second between the two at which the clocks changed."""
    before = _offset_us(low_us, zone)
    low, high = low_us // _US, -(-high_us // _US)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_us(middle * _US, zone) == before:
            low = middle
        else:
            high = middle
    return high * _US
