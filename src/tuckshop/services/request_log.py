"""The request log: one row per call, newest first, and the filters to find them by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Literal

from sqlalchemy import Connection, Select, false, func, or_, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import InvalidFieldError, NotFoundError
from tuckshop.domain.money import usd
from tuckshop.ledger.ledger import Ledger
from tuckshop.services import fields
from tuckshop.services.directory import Directory
from tuckshop.services.fields import InvalidValueError, rfc3339
from tuckshop.services.log_search import Mark, Search, Term, find, mark_in
from tuckshop.services.paging import PAGE_DEFAULT, PAGE_MAX, PageSize
from tuckshop.services.search import seen_by
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.requests import RequestPage, RequestShape
from tuckshop.storage.database import Database
from tuckshop.storage.schema import entries, flagged_calls, requests

Status = Literal["settled", "voided", "reserved", "refused", "blocked"]


FLAGGED: Final = "flagged"  # beside the flags of the row itself: its content has one


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

    def __init__(
        self, directory: Directory, ledger: Ledger, database: Database, clock: Clock
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._database = database
        self._clock = clock

    async def page(self, actor: Actor, chosen: RequestFilter) -> RequestPage:
        """
        The rows that match, newest first. Where few do, a page may end early, and the next one goes on from there.

        Raises:
            NotFoundError: No such group, member or key.
            InvalidFieldError: A time or the cursor.
        """
        search = self._search(actor, chosen)
        mark = mark_in(search, chosen.cursor)
        await self._ledger.flush()
        data, mark = await self._read(search, mark, chosen.limit or PAGE_DEFAULT)
        return RequestPage(data=data, next_cursor=None if mark is None else mark.cursor)

    async def all(self, actor: Actor, chosen: RequestFilter) -> AsyncIterator[list[RequestShape]]:
        """The same, to the last, some at a time."""
        search = self._search(actor, chosen)
        mark, left = mark_in(search, chosen.cursor), chosen.limit
        size = PAGE_DEFAULT  # at first, so that the answer soon begins
        await self._ledger.flush()
        while left is None or left > 0:
            rows, mark = await self._read(search, mark, min(size, left or size))
            yield rows
            if mark is None:
                return
            size = PAGE_MAX
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
                return _shapes(connection, _rows(connection, query), sees_conduct(actor))

        await self._ledger.flush()
        found = await asyncio.to_thread(read)
        if not found:
            raise NotFoundError(f"There is no request {request_id!r}.")
        return found[0]

    async def _read(
        self, search: Search, mark: Mark | None, limit: int
    ) -> tuple[list[RequestShape], Mark | None]:
        """At most *limit* rows after *mark*, and where the next ones begin."""

        def read() -> tuple[list[RequestShape], Mark | None]:
            with self._database.reader() as connection:
                rows, after = find(connection, search, mark, limit, self._clock)
                return _shapes(connection, rows, search.sees_conduct), after

        return await asyncio.to_thread(read)

    def _search(self, actor: Actor, chosen: RequestFilter) -> Search:
        columns = requests.c
        group = None
        if chosen.group is not None:
            group = self._directory.group(chosen.group, actor).id
        elif actor.groups is not None and len(actor.groups) == 1:
            (group,) = actor.groups
        member = None if chosen.member is None else self._directory.member(chosen.member, actor).id
        key = None if chosen.key is None else self._directory.key(chosen.key, actor)
        # Not the column itself: its index would bring the rows of several groups in no order.
        others: list[Term] = seen_by(actor, columns.group_id.concat(""))
        if chosen.model is not None:
            others.append(columns.model == chosen.model)
        if chosen.endpoint is not None:
            others.append(
                or_(columns.endpoint == chosen.endpoint, columns.endpoint_group == chosen.endpoint)
            )
        if key is not None and member is not None and key.member_id != member:
            others.append(false())
        return Search(
            workspace_id=self._directory.workspace.id,
            group_id=group,
            member_id=member if key is None else key.member_id,
            key_id=None if key is None else key.id,
            status=chosen.status,
            tag=chosen.tag,
            is_flagged=chosen.flagged,
            sees_conduct=sees_conduct(actor),
            since_us=time_of("since", chosen.since),
            until_us=time_of("until", chosen.until),
            others=tuple(others),
        )


def sees_conduct(actor: Actor) -> bool:
    """May it be told which calls were flagged for what was said in them (P6)?"""
    return actor.is_at_least("assistant")


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


def _shapes(
    connection: Connection, rows: Sequence[Mapping[str, Any]], shows_conduct: bool
) -> list[RequestShape]:
    corrections = _corrections(connection, rows)
    flagged = _flagged(connection, rows) if shows_conduct else frozenset()
    return [
        _shape(row, corrections.get(row["id"], (0, 0, 0)), is_flagged=row["id"] in flagged)
        for row in rows
    ]


def _flagged(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """In which of these calls something was said that has a flag."""
    if not rows:
        return frozenset()
    columns = flagged_calls.c
    query = select(columns.request_id).where(
        columns.workspace_id == rows[0]["workspace_id"],
        columns.request_id.in_([row["id"] for row in rows]),
    )
    return frozenset(connection.execute(query).scalars())


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


def _shape(
    row: Mapping[str, Any], correction: tuple[int, int, int], *, is_flagged: bool
) -> RequestShape:
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
        flags=[*row["flags"].split(), *([FLAGGED] if is_flagged else [])],
        first_byte_ms=row["first_byte_ms"],
        duration_ms=row["duration_ms"],
        queue_ms=row["queue_ms"],
        upstream=row["upstream"],
        upstream_request_id=row["upstream_request_id"],
        tag=row["tag"],
        network=None if row["network"] is None else row["network"].hex(),
        repeats=row["repeats"],
        error=row["error"],
    )
