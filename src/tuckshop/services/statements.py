"""Month-end statements: what a group's members used in a month, exactly as the usage report sums it."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, or_, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import InvalidFieldError
from tuckshop.domain.money import usd
from tuckshop.domain.records import Group, Member
from tuckshop.domain.windows import Span, ZoneHistory, span_at
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.log_search import said
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.statements import (
    ModelLine,
    Statement,
    StatementCorrection,
    StatementGrant,
    StatementLine,
    StatementSum,
)
from tuckshop.services.usage import Usage
from tuckshop.storage.database import Database
from tuckshop.storage.schema import entries, folded, requests

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class StatementQuery(Sent, frozen=True, kw_only=True):
    """Which month, such as `2026-11`; the one that runs unless said."""

    month: str | None = None


class Statements:
    """Adds a month up."""

    def __init__(
        self, directory: Directory, ledger: Ledger, database: Database, usage: Usage, clock: Clock
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._database = database
        self._usage = usage
        self._clock = clock

    async def of_group(self, actor: Actor, name_or_id: str, asked: StatementQuery) -> Statement:
        """
        The statement of a month in the group's zone.

        Raises:
            NotFoundError: No such group.
            InvalidFieldError: The month is none, or has not begun.
        """
        group = self._directory.group(name_or_id, actor)
        now_us = self._clock.now_us()
        span = _span_of(asked.month, group.zone, now_us)
        assert span.end_us is not None
        await self._ledger.flush()
        noted = await asyncio.to_thread(self._read, group.id, span)
        own = {"group_id": group.id}
        by_member, by_model = [
            await self._usage.rows(
                [name], own, since_us=span.start_us, until_us=span.end_us, zone=group.zone
            )
            for name in ("member", "model")
        ]
        people = {member.id: member for member in self._members(group)}
        lines = [
            StatementLine(
                member=str(row.member),
                external_id=_external_id(people, row.member),
                name=_name(people, row.member),
                requests=row.requests,
                input_tokens=row.input_tokens,
                output_tokens=row.output_tokens,
                cached_tokens=row.cached_tokens,
                cost_usd=row.cost_usd,
                guessed_usd=usd(noted.guessed.get(str(row.member), (0, 0))[1]),
            )
            for row in by_member
        ]
        lines.sort(key=lambda line: (line.external_id is None, line.external_id or line.member))
        return Statement(
            group=group.id,
            name=group.name,
            title=group.title,
            month=span.id,
            time_zone=group.zone.current,
            since=rfc3339(span.start_us),
            until=rfc3339(span.end_us),
            is_over=now_us >= span.end_us and not noted.is_running,
            made_at=rfc3339(now_us),
            data=lines,
            models=[
                ModelLine(
                    model=str(row.model),
                    requests=row.requests,
                    input_tokens=row.input_tokens,
                    output_tokens=row.output_tokens,
                    cached_tokens=row.cached_tokens,
                    cost_usd=row.cost_usd,
                )
                for row in by_model
            ],
            total=_total(lines, noted),
            grants=[
                StatementGrant(
                    at=rfc3339(row["at"]),
                    member=row["scope_id"] if row["scope_kind"] == "member" else None,
                    external_id=_external_id(people, row["scope_id"]),
                    name=_name(people, row["scope_id"]),
                    amount_usd=usd(row["cost"] or 0),
                    until=None if row["until"] is None else rfc3339(row["until"]),
                    reason=row["reason"],
                )
                for row in noted.grants
                if row["scope_id"] in people or row["scope_id"] == group.id
            ],
            corrections=[
                StatementCorrection(
                    at=rfc3339(row["at"]),
                    request=row["request_id"],
                    member=row["member_id"],
                    external_id=_external_id(people, row["member_id"]),
                    name=_name(people, row["member_id"]),
                    cost_usd=usd(row["cost"] or 0),
                    reason=row["reason"],
                )
                for row in noted.corrections
            ],
        )

    def _members(self, group: Group) -> list[Member]:
        return self._directory.members_by_group([group.id])[group.id]

    def _read(self, group_id: str, span: Span) -> _Noted:
        """What the roll-up does not tell. For worker threads."""
        workspace_id = self._directory.workspace.id
        with self._database.reader() as connection:
            return _Noted(
                guessed=_guessed(connection, workspace_id, group_id, span),
                grants=_grants(connection, workspace_id, span),
                corrections=_corrections(connection, workspace_id, group_id, span),
                is_running=_is_running(connection, workspace_id, group_id, span),
            )


class _Noted(NamedTuple):
    """What rows and entries of a month say besides its sums."""

    guessed: Mapping[str, tuple[int, int]]  # member → calls, nano-USD
    grants: Sequence[Mapping[str, Any]]
    corrections: Sequence[Mapping[str, Any]]
    is_running: bool


def _span_of(month: str | None, zone: ZoneHistory, now_us: int) -> Span:
    running = span_at("month", now_us, zone)
    if month is None:
        return running
    found = _MONTH.fullmatch(month)
    # Further off, the calendar ends before the month does, in some zone or other.
    if found is None or found[1] < "1970":
        raise InvalidFieldError("month", f"is a month such as {running.id}")
    if found[1] == "9999":
        raise InvalidFieldError("month", "has not begun")
    middle = datetime(int(found[1]), int(found[2]), 15, tzinfo=UTC)
    span = span_at("month", (middle - _EPOCH) // timedelta(microseconds=1), zone)
    if span.start_us > now_us:
        raise InvalidFieldError("month", "has not begun")
    return span


def _external_id(people: Mapping[str, Member], member_id: object) -> str | None:
    member = people.get(str(member_id))
    return None if member is None else member.external_id


def _name(people: Mapping[str, Member], member_id: object) -> str | None:
    member = people.get(str(member_id))
    return None if member is None else member.name


def _total(lines: Sequence[StatementLine], noted: _Noted) -> StatementSum:
    return StatementSum(
        requests=sum(line.requests for line in lines),
        input_tokens=sum(line.input_tokens for line in lines),
        output_tokens=sum(line.output_tokens for line in lines),
        cached_tokens=sum(line.cached_tokens for line in lines),
        cost_usd=sum((Decimal(line.cost_usd) for line in lines), Decimal(0)),
        guessed_usd=usd(sum(cost for _, cost in noted.guessed.values())),
        guessed_requests=sum(calls for calls, _ in noted.guessed.values()),
    )


def _guessed(
    connection: Connection, workspace_id: str, group_id: str, span: Span
) -> dict[str, tuple[int, int]]:
    """Calls that were charged without a usage to rely on, what has been corrected since included."""
    columns = requests.c
    rows = connection.execute(
        select(columns.id, columns.member_id, columns.cost).where(
            columns.workspace_id == workspace_id,
            columns.flags != said(""),
            columns.group_id.concat("") == group_id,
            columns.admitted_at >= span.start_us,
            columns.admitted_at < span.end_us,
            columns.state == "settled",
            or_(columns.flags.contains("unconfirmed"), columns.flags.contains("estimated")),
        )
    ).all()
    added: defaultdict[str, int] = defaultdict(int)
    if rows:
        query = (
            select(entries.c.request_id, func.sum(entries.c.cost))
            .where(entries.c.workspace_id == workspace_id, entries.c.kind == "correction")
            .group_by(entries.c.request_id)
        )
        added.update({str(id_): int(cost or 0) for id_, cost in connection.execute(query)})
    sums: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for id_, member_id, cost in rows:
        calls, total = sums[member_id]
        sums[member_id] = calls + 1, total + (cost or 0) + added[id_]
    carried = select(folded.c.member_id, folded.c.guessed, folded.c.guessed_cost).where(
        folded.c.workspace_id == workspace_id,
        folded.c.group_id == group_id,
        folded.c.since >= span.start_us,
        folded.c.since < span.end_us,
        folded.c.guessed > 0,
    )
    for member_id, more, cost in connection.execute(carried):
        calls, total = sums[member_id]
        sums[member_id] = calls + more, total + cost
    return dict(sums)


def _grants(connection: Connection, workspace_id: str, span: Span) -> list[dict[str, Any]]:
    columns = entries.c
    query = (
        select(entries)
        .where(
            columns.workspace_id == workspace_id,
            columns.kind == "grant",
            columns.at >= span.start_us,
            columns.at < span.end_us,
        )
        .order_by(columns.position)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _corrections(
    connection: Connection, workspace_id: str, group_id: str, span: Span
) -> list[dict[str, Any]]:
    columns = entries.c
    calls = requests.c
    query = (
        select(columns.at, columns.request_id, columns.cost, columns.reason, calls.member_id)
        .join_from(
            entries,
            requests,
            (calls.workspace_id == columns.workspace_id) & (calls.id == columns.request_id),
        )
        .where(
            columns.workspace_id == workspace_id,
            columns.kind == "correction",
            calls.group_id.concat("") == group_id,
            calls.admitted_at >= span.start_us,
            calls.admitted_at < span.end_us,
        )
        .order_by(columns.position)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _is_running(connection: Connection, workspace_id: str, group_id: str, span: Span) -> bool:
    columns = requests.c
    query = select(columns.id).where(
        columns.workspace_id == workspace_id,
        columns.state == said("reserved"),
        columns.group_id.concat("") == group_id,
        columns.admitted_at >= span.start_us,
        columns.admitted_at < span.end_us,
    )
    return connection.execute(query.limit(1)).first() is not None
