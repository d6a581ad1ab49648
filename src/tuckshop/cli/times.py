"""Days and times as people of a group mean them: on the clocks of the group."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfoNotFoundError

import click

from tuckshop.cli.client import Client
from tuckshop.cli.output import clean
from tuckshop.domain.windows import end_of_day_us
from tuckshop.domain.wording import local_minute

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def zones_of(client: Client, groups: Iterable[str]) -> list[str]:
    """The time zones of *groups*, by name or id."""
    return [str(client.get("groups", group)["time_zone"]) for group in dict.fromkeys(groups)]


def is_day(text: object) -> bool:
    """Is it a day, and no time of one?"""
    return isinstance(text, str) and _DAY.fullmatch(text) is not None


def end_of_day(day: str, zones: Iterable[str]) -> str:
    """
    When *day* is over in the last of *zones*, as the API takes it.

    Raises:
        click.BadParameter: There is no such day.
    """
    try:
        ends = [end_of_day_us(date.fromisoformat(day), zone) for zone in zones]
        at = _EPOCH + timedelta(microseconds=max(ends))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{day} is no day.") from error
    return at.replace(tzinfo=None).isoformat() + "Z"


def when_in(value: str | None, zone: str) -> str:
    """A time of the API on the clocks of *zone*, to the minute: ``2026-12-31 18:00 Europe/Berlin``; None is empty."""
    local = local_time(value, zone)
    return f"{local} {clean(zone)}" if local else ""


def local_time(value: str | None, zone: str) -> str:
    """The same without the zone, for columns whose heading or note names it."""
    if value is None:
        return ""
    try:
        return local_minute(value, zone)
    except (ValueError, OverflowError, ZoneInfoNotFoundError):
        return clean(value)
