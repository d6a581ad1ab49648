"""
Usage: sums over the roll-up, by the dimensions asked for.

The roll-up has a row per quarter of an hour, so that days of every zone come out right. Where a stretch of the calendar
is asked for, each one is summed apart, over just its quarters, or where there is something shorter to read, over that
(`usage_sources`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from operator import add
from typing import Any, Final, Literal

from msgspec import UNSET
from sqlalchemy import Connection, func, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import InvalidFieldError
from tuckshop.domain.hours import hour_at
from tuckshop.domain.money import usd
from tuckshop.domain.windows import ZoneHistory, span_at
from tuckshop.ledger.day_sums import QUARTER_US
from tuckshop.ledger.ledger import Ledger
from tuckshop.services import fields
from tuckshop.services.directory import Directory
from tuckshop.services.fields import InvalidValueError
from tuckshop.services.request_log import time_of
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.usage import UsagePage, UsageRow
from tuckshop.services.tagged_calls import tagged_calls
from tuckshop.services.usage_sources import Piece, Sources, Where, roll_up
from tuckshop.storage.database import Database

Stretch = Literal["hour", "day", "week", "month", "year"]
ROWS_MAX: Final = 50_000
STRETCHES_MAX: Final = 4_000  # ten years of days, five months of hours

_COLUMNS: Final = {
    "group": "group_id",
    "member": "member_id",
    "key": "key_id",
    "model": "model",
    "endpoint": "endpoint",
    "tag": "tag",
}
_STRETCHES: Final[tuple[Stretch, ...]] = ("hour", "day", "week", "month", "year")
_SUMS: Final = ("requests", "input_tokens", "output_tokens", "cached_tokens", "cost")


class UsageQuery(Sent, frozen=True, kw_only=True):
    """
    Which sums are asked for.

    *by* lists dimensions with commas between: group, member, key, model, endpoint, tag, and at most one of hour,
    day, week, month, year. Times are RFC 3339 or a day in UTC, and count by quarters of an hour.
    """

    by: str = ""
    since: str | None = None
    until: str | None = None  # not included
    time_zone: str | None = None
    group: str | None = None
    member: str | None = None
    key: str | None = None


class Usage:
    """Reads the roll-up."""

    def __init__(
        self,
        directory: Directory,
        ledger: Ledger,
        database: Database,
        clock: Clock,
        default_zone: str,
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._database = database
        self._clock = clock
        self._default_zone = default_zone

    async def report(self, actor: Actor, asked: UsageQuery) -> UsagePage:
        """
        The sums, in the order of the dimensions.

        Raises:
            NotFoundError: No such group, member or key.
            InvalidFieldError: A dimension, a time, the zone, or more rows than are answered at once.
        """
        zone_name = asked.time_zone or self._default_zone
        try:
            fields.zone_name(zone_name)
        except InvalidValueError as error:
            raise InvalidFieldError("time_zone", str(error)) from None
        by = dimensions_of(asked.by)
        where: dict[str, str | Sequence[str]] = {}
        if actor.groups is not None:
            where["group_id"] = sorted(actor.groups)
        if asked.group is not None:
            where["group_id"] = self._directory.group(asked.group, actor).id
        if asked.member is not None:
            where["member_id"] = self._directory.member(asked.member, actor).id
        if asked.key is not None:
            where["key_id"] = self._directory.key(asked.key, actor).id
        data = await self.rows(
            by,
            where,
            since_us=time_of("since", asked.since),
            until_us=time_of("until", asked.until),
            zone=ZoneHistory.of(zone_name),
        )
        return UsagePage(data=data, time_zone=zone_name)

    async def rows(
        self,
        by: Sequence[str],
        where: Where,
        *,
        since_us: int | None,
        until_us: int | None,
        zone: ZoneHistory,
    ) -> list[UsageRow]:
        """Sums *by* dimensions over the quarters that match *where*, on a reader's thread."""
        workspace_id = self._directory.workspace.id
        until_us = until_us if until_us is not None else self._clock.now_us() + QUARTER_US

        def read() -> list[UsageRow]:
            with self._database.reader() as connection:
                return read_sums(
                    connection,
                    by,
                    {"workspace_id": workspace_id, **where},
                    since_us=since_us,
                    until_us=until_us,
                    zone=zone,
                )

        await self._ledger.flush()
        return await asyncio.to_thread(read)


def dimensions_of(by: str) -> list[str]:
    """
    The dimensions that a query lists.

    Raises:
        InvalidFieldError: One that there is not, or two stretches of the calendar.
    """
    dimensions = [name.strip() for name in by.split(",") if name.strip()]
    for name in dimensions:
        if name not in _COLUMNS and name not in _STRETCHES:
            known = ", ".join((*_COLUMNS, *_STRETCHES))
            raise InvalidFieldError("by", f"{name!r} is not a dimension; there are {known}")
    if len(set(dimensions)) != len(dimensions):
        raise InvalidFieldError("by", "names a dimension twice")
    if sum(name in _STRETCHES for name in dimensions) > 1:
        raise InvalidFieldError("by", "takes one of hour, day, week, month and year")
    return dimensions


def read_sums(
    connection: Connection,
    by: Sequence[str],
    where: Where,
    *,
    since_us: int | None,
    until_us: int,
    zone: ZoneHistory,
) -> list[UsageRow]:
    until_us += -until_us % QUARTER_US
    since_us = None if since_us is None else since_us - since_us % QUARTER_US
    stretch = next((name for name in _STRETCHES if name in by), None)
    workspace_id = str(where["workspace_id"])
    columns = [name for name in by if name in _COLUMNS]
    if "tag" in by:
        sources = Sources(
            tagged_calls(connection, workspace_id, where, since_us=since_us, until_us=until_us)
        )
    else:
        known = {*where, *(_COLUMNS[name] for name in columns)}
        sources = roll_up(connection, workspace_id, known)
    if since_us is None or stretch is not None:
        # A stretch costs a query, and who asks for a century has few of them in mind.
        since_us, until_us = sources.span(connection, where, since_us, until_us)
    found: list[UsageRow] = []
    for label, start_us, end_us in _stretches(stretch, zone, since_us, until_us):
        pieces = sources.pieces(start_us, end_us)
        labels: dict[str, str] = {stretch: label} if stretch is not None else {}
        found += _sums(connection, pieces, columns, where, labels)
        if len(found) > ROWS_MAX:
            raise InvalidFieldError(
                "by", f"makes more than {ROWS_MAX} rows: ask for a shorter time or fewer dimensions"
            )
    return sorted(found, key=lambda row: [_ordered(getattr(row, name)) for name in by])


def _ordered(value: str | None) -> tuple[bool, str]:
    """Calls without a tag come last."""
    return value is None, value or ""


def _stretches(
    stretch: Stretch | None, zone: ZoneHistory, since_us: int, until_us: int
) -> Iterator[tuple[str, int, int]]:
    if stretch is None:
        yield "", since_us, until_us
        return
    at_us = since_us
    for _ in range(STRETCHES_MAX):
        if at_us >= until_us:
            return
        span = hour_at(at_us, zone.current) if stretch == "hour" else span_at(stretch, at_us, zone)
        assert span.end_us is not None
        yield span.id, at_us, min(span.end_us, until_us)
        at_us = span.end_us
    raise InvalidFieldError("since", f"makes more than {STRETCHES_MAX} rows of time")


def _sums(
    connection: Connection,
    pieces: Sequence[Piece],
    columns: Sequence[str],
    where: Where,
    labels: dict[str, str],
) -> Iterator[UsageRow]:
    """One row for each that called in these *pieces* of time together."""
    found: dict[tuple[Any, ...], list[int]] = {} if columns else {(): [0] * len(_SUMS)}
    for piece in pieces:
        grouped = [piece.source.c[_COLUMNS[name]] for name in columns]
        sums = [func.sum(piece.source.c[name]) for name in _SUMS]
        query = select(*grouped, *sums).where(*piece.terms(where)).limit(ROWS_MAX + 1)
        if grouped:
            query = query.group_by(*grouped)
        for row in connection.execute(query):
            added = [int(value or 0) for value in row[len(columns) :]]
            before = found.setdefault(tuple(row[: len(columns)]), [0] * len(_SUMS))
            before[:] = map(add, before, added)
    for key, (requests, input_tokens, output_tokens, cached_tokens, cost) in found.items():
        if not requests and labels and not columns:
            continue  # a stretch in which nobody called
        by: dict[str, Any] = {name: labels.get(name, UNSET) for name in _STRETCHES}
        by |= dict.fromkeys(_COLUMNS, UNSET) | dict(zip(columns, key, strict=True))
        yield UsageRow(
            **by,
            requests=requests,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
            cost_usd=usd(cost),
        )
