"""
Usage: sums over the roll-up, by the dimensions asked for.

The roll-up has a row per quarter of an hour, so that days of every zone come out right. Where a stretch of the calendar
is asked for, each one is a query of its own over just its quarters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import UNSET
from sqlalchemy import ColumnElement, Connection, FromClause, func, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import InvalidFieldError
from tuckshop.domain.hours import hour_at
from tuckshop.domain.money import usd
from tuckshop.domain.windows import ZoneHistory, span_at
from tuckshop.ledger.ledger import Ledger
from tuckshop.services import fields
from tuckshop.services.directory import Directory
from tuckshop.services.fields import InvalidValueError
from tuckshop.services.request_log import time_of
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.usage import UsagePage, UsageRow
from tuckshop.services.tagged_calls import tagged_calls
from tuckshop.storage.database import Database
from tuckshop.storage.schema import usage_buckets as buckets

Stretch = Literal["hour", "day", "week", "month", "year"]
ROWS_MAX: Final = 50_000
STRETCHES_MAX: Final = 4_000  # ten years of days, five months of hours
QUARTER_US: Final = 900 * US_PER_SECOND

_COLUMNS: Final = {
    "group": "group_id",
    "member": "member_id",
    "key": "key_id",
    "model": "model",
    "endpoint": "endpoint",
    "tag": "tag",
}
Where = Mapping[str, str | Sequence[str]]  # column → what it is, or one of what
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
                return _read(
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


def _read(
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
    source: FromClause = buckets
    if "tag" in by:
        source = tagged_calls(
            connection, str(where["workspace_id"]), where, since_us=since_us, until_us=until_us
        )
    terms = _terms(source, where)
    if since_us is None or stretch is not None:
        since_us, until_us = _ends(connection, source.c.bucket, terms, since_us, until_us)
    columns = [name for name in by if name in _COLUMNS]
    found: list[UsageRow] = []
    for label, start_us, end_us in _stretches(stretch, zone, since_us, until_us):
        found += _sums(
            connection,
            source,
            columns,
            [*terms, source.c.bucket >= start_us, source.c.bucket < end_us],
            {stretch: label} if stretch is not None else {},
        )
        if len(found) > ROWS_MAX:
            raise InvalidFieldError(
                "by", f"makes more than {ROWS_MAX} rows: ask for a shorter time or fewer dimensions"
            )
    return sorted(found, key=lambda row: [_ordered(getattr(row, name)) for name in by])


def _terms(source: FromClause, where: Where) -> list[Any]:
    return [
        source.c[name] == value if isinstance(value, str) else source.c[name].in_(value)
        for name, value in where.items()
    ]


def _ordered(value: str | None) -> tuple[bool, str]:
    """Calls without a tag come last."""
    return value is None, value or ""


def _ends(
    connection: Connection,
    bucket: ColumnElement[int],
    terms: Sequence[Any],
    since_us: int | None,
    until_us: int,
) -> tuple[int, int]:
    """Where there is something: a day costs a query, and who asks for a century has few of them in mind."""
    inside = [*terms, bucket < until_us, *([] if since_us is None else [bucket >= since_us])]
    # One by one, since then each is read off an end of the index.
    first, last = (
        connection.execute(select(bucket).where(*inside).order_by(order).limit(1)).scalar()
        for order in (bucket, bucket.desc())
    )
    if first is None or last is None:
        return until_us, until_us
    return first - first % QUARTER_US, min(until_us, last - last % QUARTER_US + QUARTER_US)


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
    source: FromClause,
    columns: Sequence[str],
    terms: Sequence[Any],
    labels: dict[str, str],
) -> Iterator[UsageRow]:
    grouped = [source.c[_COLUMNS[name]].label(f"by_{name}") for name in columns]
    sums = [func.sum(source.c[name]).label(name) for name in _SUMS]
    query = select(*grouped, *sums).where(*terms).limit(ROWS_MAX + 1)
    if grouped:
        query = query.group_by(*(source.c[_COLUMNS[name]] for name in columns))
    for row in connection.execute(query).mappings():
        if row["requests"] is None and labels:
            continue  # a stretch in which nobody called
        by: dict[str, Any] = {name: labels.get(name, UNSET) for name in _STRETCHES}
        by |= {name: row[f"by_{name}"] if name in columns else UNSET for name in _COLUMNS}
        yield UsageRow(
            **by,
            requests=int(row["requests"] or 0),
            input_tokens=int(row["input_tokens"] or 0),
            output_tokens=int(row["output_tokens"] or 0),
            cached_tokens=int(row["cached_tokens"] or 0),
            cost_usd=usd(int(row["cost"] or 0)),
        )
