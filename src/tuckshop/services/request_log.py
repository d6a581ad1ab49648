"""The request log: one row per call, newest first, and the filters to find them by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, Select, func, or_, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import InvalidFieldError, NotFoundError
from tuckshop.domain.money import usd
from tuckshop.ledger.ledger import Ledger
from tuckshop.services import fields
from tuckshop.services.directory import Directory
from tuckshop.services.fields import InvalidValueError, rfc3339
from tuckshop.services.paging import PAGE_DEFAULT, PAGE_MAX, PageSize, cursor_after, position_of
from tuckshop.services.search import seen_by
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.requests import RequestPage, RequestShape
from tuckshop.storage.database import Database
from tuckshop.storage.schema import entries, requests

Status = Literal["settled", "voided", "reserved", "refused", "blocked"]


class RequestFilter(Sent, frozen=True, kw_only=True):
    """Which rows are asked for. Times are RFC 3339, or a day in UTC."""

    group: str | None = None
    member: str | None = None
    key: str | None = None
    model: str | None = None
    endpoint: str | None = None  # `chat.completions`, or a group of endpoints: `chat`
    status: Status | None = None
    flagged: bool | None = None
    tag: str | None = None
    since: str | None = None
    until: str | None = None  # not included
    cursor: str | None = None
    limit: PageSize | None = None  # JSON: 100 unless said; a file: all


class RequestLog:
    """Reads the log."""

    def __init__(self, directory: Directory, ledger: Ledger, database: Database) -> None:
        self._directory = directory
        self._ledger = ledger
        self._database = database

    async def page(self, actor: Actor, chosen: RequestFilter) -> RequestPage:
        """
        The rows that match, newest first.

        Raises:
            NotFoundError: No such group, member or key.
            InvalidFieldError: A time or the cursor.
        """
        limit = chosen.limit or PAGE_DEFAULT
        await self._ledger.flush()
        data, last = await self._read(actor, chosen, position_of(chosen.cursor), limit)
        return RequestPage(data=data, next_cursor=None if last is None else cursor_after(str(last)))

    async def all(self, actor: Actor, chosen: RequestFilter) -> AsyncIterator[list[RequestShape]]:
        """The same, to the last, some at a time."""
        before, left = position_of(chosen.cursor), chosen.limit
        await self._ledger.flush()
        while left is None or left > 0:
            rows, before = await self._read(actor, chosen, before, min(PAGE_MAX, left or PAGE_MAX))
            yield rows
            if before is None:
                return
            left = None if left is None else left - len(rows)

    async def get(self, actor: Actor, request_id: str) -> RequestShape:
        """
        One row.

        Raises:
            NotFoundError: No such request.
        """
        query = select(requests).where(
            requests.c.workspace_id == self._directory.workspace.id,
            requests.c.id == request_id,
            *seen_by(actor, requests.c.group_id),
        )

        def read() -> list[RequestShape]:
            with self._database.reader() as connection:
                return _shapes(connection, _rows(connection, query))

        await self._ledger.flush()
        found = await asyncio.to_thread(read)
        if not found:
            raise NotFoundError(f"There is no request {request_id!r}.")
        return found[0]

    async def _read(
        self, actor: Actor, chosen: RequestFilter, before: int | None, limit: int
    ) -> tuple[list[RequestShape], int | None]:
        """At most *limit* rows older than the position *before*, and the last one's position if there are more."""
        terms = self._terms(actor, chosen)
        if before is not None:
            terms.append(requests.c.position < before)
        query = (
            select(requests)
            .where(requests.c.workspace_id == self._directory.workspace.id, *terms)
            .order_by(requests.c.position.desc())
            .limit(limit + 1)
        )

        def read() -> tuple[list[RequestShape], int | None]:
            with self._database.reader() as connection:
                rows = _rows(connection, query)
                shown = rows[:limit]
                return _shapes(connection, shown), (
                    shown[-1]["position"] if len(rows) > limit else None
                )

        return await asyncio.to_thread(read)

    def _terms(self, actor: Actor, chosen: RequestFilter) -> list[Any]:
        columns = requests.c
        terms: list[Any] = seen_by(actor, columns.group_id)
        if chosen.group is not None:
            terms.append(columns.group_id == self._directory.group(chosen.group, actor).id)
        if chosen.member is not None:
            terms.append(columns.member_id == self._directory.member(chosen.member, actor).id)
        if chosen.key is not None:
            terms.append(columns.key_id == self._directory.key(chosen.key, actor).id)
        if chosen.model is not None:
            terms.append(columns.model == chosen.model)
        if chosen.endpoint is not None:
            terms.append(
                or_(columns.endpoint == chosen.endpoint, columns.endpoint_group == chosen.endpoint)
            )
        if chosen.status is not None:
            terms.append(columns.state == chosen.status)
        if chosen.flagged is not None:
            terms.append(columns.flags != "" if chosen.flagged else columns.flags == "")
        if chosen.tag is not None:
            terms.append(columns.tag == chosen.tag)
        if (since_us := time_of("since", chosen.since)) is not None:
            terms.append(columns.admitted_at >= since_us)
        if (until_us := time_of("until", chosen.until)) is not None:
            terms.append(columns.admitted_at < until_us)
        return terms


def time_of(field: str, value: str | None) -> int | None:
    """
    The instant that a filter states.

    Raises:
        InvalidFieldError: It is none.
    """
    if value is None:
        return None
    try:
        return fields.instant_of_text(value)
    except InvalidValueError as error:
        raise InvalidFieldError(field, str(error)) from None


def _rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _shapes(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[RequestShape]:
    corrections = _corrections(connection, rows)
    return [_shape(row, corrections.get(row["id"], (0, 0, 0))) for row in rows]


def _corrections(
    connection: Connection, rows: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[int, int, int]]:
    """What was added to each row since it was closed (M7), as (nano-USD, input tokens, output tokens)."""
    if not rows:
        return {}
    columns = entries.c
    query = (
        select(
            columns.request_id,
            func.coalesce(func.sum(columns.cost), 0),
            func.coalesce(func.sum(columns.input_tokens), 0),
            func.coalesce(func.sum(columns.output_tokens), 0),
        )
        .where(
            columns.workspace_id == rows[0]["workspace_id"],
            columns.request_id.in_([row["id"] for row in rows]),
            columns.kind == "correction",
        )
        .group_by(columns.request_id)
    )
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in connection.execute(query)}


def _shape(row: Mapping[str, Any], correction: tuple[int, int, int]) -> RequestShape:
    is_open = row["state"] == "reserved"

    def count(column: str, added: int = 0) -> int | None:
        return None if is_open else (row[column] or 0) + added

    cost = count("cost", correction[0])
    return RequestShape(
        id=row["id"],
        at=rfc3339(row["admitted_at"]),
        member=row["member_id"],
        key=row["key_id"],
        group=row["group_id"],
        endpoint=row["endpoint"],
        model=row["model"],
        status=row["state"],
        http_status=row["http_status"],
        input_tokens=count("input_tokens", correction[1]),
        output_tokens=count("output_tokens", correction[2]),
        cached_tokens=count("cached_tokens"),
        cost_usd=None if cost is None else usd(cost),
        flags=row["flags"].split(),
        first_byte_ms=row["first_byte_ms"],
        duration_ms=row["duration_ms"],
        queue_ms=row["queue_ms"],
        upstream=row["upstream"],
        upstream_request_id=row["upstream_request_id"],
        tag=row["tag"],
        repeats=row["repeats"],
        error=row["error"],
    )
