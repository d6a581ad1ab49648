"""The audit trail, as staff read it: who did what and when, and whether the chain of rows is whole (K16)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, func, or_, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.records import Member
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.paging import PAGE_DEFAULT, PAGE_MAX, PageSize, cursor_after, position_of
from tuckshop.services.personal import audit_place, opened
from tuckshop.services.request_log import time_of
from tuckshop.services.shapes.audit import AuditCheck, AuditPage, AuditRow
from tuckshop.services.shapes.parts import Sent
from tuckshop.storage.audit import first_broken_audit_row
from tuckshop.storage.database import Database
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.schema import audit, claims, flags, keys, mails, members, requests

_LAST: Final = 2**62
# What people wrote, or who they are, was opened, or somebody tried to.
READS: Final = (
    "body.read",
    "body.search",
    "body.export",
    "body.refuse",
    "member.identify",
    "member.identity",
    "member.find",
    "member.export",
)


class AuditFilter(Sent, frozen=True, kw_only=True):
    """Which rows are asked for. Times are RFC 3339, or a day in UTC."""

    actor: str | None = None  # `operator`, `cli` …
    action: str | None = None  # `key.revoke`, or all of a kind: `key`
    object: str | None = None  # the id of what was changed
    reads: bool | None = None  # true: only where what people wrote, or who they are, was opened
    since: str | None = None
    until: str | None = None  # not included
    cursor: str | None = None
    limit: PageSize | None = None  # JSON: 100 unless said; a file: all


@dataclass(frozen=True, slots=True)
class TrailOfMember:
    """What was done about a member, oldest first, and what of it, or of a search beyond it, was reading."""

    rows: list[AuditRow]
    reads: list[AuditRow]


class AuditTrail:
    """Reads what was done."""

    def __init__(self, directory: Directory, database: Database, person_keys: PersonKeys) -> None:
        self._directory = directory
        self._database = database
        self._person_keys = person_keys

    async def page(self, actor: Actor, chosen: AuditFilter) -> AuditPage:
        """
        The rows that match, newest first.

        Raises:
            InvalidFieldError: A time or the cursor.
        """
        limit = chosen.limit or PAGE_DEFAULT
        rows = await self._read(actor, chosen, position_of(chosen.cursor) or _LAST, limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        return AuditPage(
            data=rows, next_cursor=cursor_after(str(rows[-1].number)) if more else None
        )

    async def all(self, actor: Actor, chosen: AuditFilter) -> AsyncIterator[list[AuditRow]]:
        """The same, to the last, some at a time."""
        before, left = position_of(chosen.cursor) or _LAST, chosen.limit
        while left is None or left > 0:
            rows = await self._read(actor, chosen, before, min(PAGE_MAX, left or PAGE_MAX))
            if not rows:
                return
            yield rows
            before = rows[-1].number
            left = None if left is None else left - len(rows)

    async def about(self, member: Member) -> TrailOfMember:
        """All that was done about a member: to be told to them."""
        workspace_id = self._directory.workspace.id

        def read() -> TrailOfMember:
            with self._database.reader() as connection:
                own = (
                    select(audit)
                    .where(audit.c.workspace_id == workspace_id, _about(workspace_id, member.id))
                    .order_by(audit.c.number)
                )
                rows = [
                    audit_shape(dict(row), self._person_keys)
                    for row in connection.execute(own).mappings()
                ]
                searches = _searches(connection, workspace_id, member, self._person_keys)
            reads = [row for row in rows if row.action in READS]
            return TrailOfMember(rows, sorted((*reads, *searches), key=lambda row: row.number))

        return await asyncio.to_thread(read)

    async def check(self) -> AuditCheck:
        """Whether each row follows from the one before it."""
        workspace_id = self._directory.workspace.id

        def read() -> AuditCheck:
            with self._database.reader() as connection:
                count = connection.execute(
                    select(func.count()).where(audit.c.workspace_id == workspace_id)
                ).scalar_one()
                return AuditCheck(
                    rows=count, first_broken=first_broken_audit_row(connection, workspace_id)
                )

        return await asyncio.to_thread(read)

    async def _read(
        self, actor: Actor, chosen: AuditFilter, before: int, limit: int
    ) -> list[AuditRow]:
        columns = audit.c
        query = select(audit).where(
            columns.workspace_id == self._directory.workspace.id,
            columns.number < before,
            *self._seen_by(actor),
        )
        if chosen.actor is not None:
            query = query.where(columns.actor == chosen.actor)
        if chosen.action is not None:
            kind = f"{chosen.action}."
            is_kind = func.substr(columns.action, 1, len(kind)) == kind
            query = query.where((columns.action == chosen.action) | is_kind)
        if chosen.reads is not None:
            is_read = columns.action.in_(READS)
            query = query.where(is_read if chosen.reads else ~is_read)
        if chosen.object is not None:
            query = query.where(columns.object_id == chosen.object)
        if (since_us := time_of("since", chosen.since)) is not None:
            query = query.where(columns.at >= since_us)
        if (until_us := time_of("until", chosen.until)) is not None:
            query = query.where(columns.at < until_us)
        query = query.order_by(columns.number.desc()).limit(limit)

        def read() -> list[AuditRow]:
            with self._database.reader() as connection:
                rows = connection.execute(query).mappings().all()
            return [audit_shape(dict(row), self._person_keys) for row in rows]

        return await asyncio.to_thread(read)

    def _seen_by(self, actor: Actor) -> list[ColumnElement[bool]]:
        """The terms that leave rows about the actor's groups and what is in them."""
        if actor.groups is None:
            return []
        own = sorted(actor.groups)
        tokens = [token.id for token in self._directory.tokens(actor)]
        about = [audit.c.object_id.in_(own), audit.c.object_id.in_(tokens)]
        for table in (members, keys, flags):
            inside = select(table.c.id).where(
                table.c.workspace_id == audit.c.workspace_id, table.c.group_id.in_(own)
            )
            about.append(audit.c.object_id.in_(inside))
        links = (
            select(claims.c.id)
            .join(
                members,
                (members.c.workspace_id == claims.c.workspace_id)
                & (members.c.id == claims.c.member_id),
            )
            .where(claims.c.workspace_id == audit.c.workspace_id, members.c.group_id.in_(own))
        )
        return [or_(*about, audit.c.object_id.in_(links))]


def _about(workspace_id: str, member_id: str) -> ColumnElement[bool]:
    """Rows about a member and what is theirs, and of what they did themselves."""
    about = [audit.c.object_id == member_id, audit.c.actor == f"member:{member_id}"]
    for table in (keys, flags, claims, mails, requests):
        theirs = select(table.c.id).where(
            table.c.workspace_id == workspace_id, table.c.member_id == member_id
        )
        about.append(audit.c.object_id.in_(theirs))
    return or_(*about)


def _searches(
    connection: Connection, workspace_id: str, member: Member, person_keys: PersonKeys
) -> list[AuditRow]:
    """
    Searches in the whole group, or in all, that showed calls of the member.

    Of these the member is told when, who, and which of their own calls; the words may be about others.
    """
    query = (
        select(audit)
        .where(
            audit.c.workspace_id == workspace_id,
            audit.c.action == "body.search",
            audit.c.object_id.in_((member.group_id, workspace_id)),
        )
        .order_by(audit.c.number)
    )
    found: list[AuditRow] = []
    for row in connection.execute(query).mappings().all():
        shape = audit_shape(dict(row), person_keys)
        shown = (shape.after or {}).get("requests", [])
        own = _own_calls(connection, workspace_id, member.id, shown)
        if own:
            found.append(msgspec.structs.replace(shape, after={"requests": own}))
    return found


def _own_calls(
    connection: Connection, workspace_id: str, member_id: str, request_ids: Collection[str]
) -> list[str]:
    if not request_ids:
        return []
    query = select(requests.c.id).where(
        requests.c.workspace_id == workspace_id,
        requests.c.member_id == member_id,
        requests.c.id.in_(request_ids),
    )
    return sorted(connection.execute(query).scalars())


def audit_shape(row: Mapping[str, Any], person_keys: PersonKeys) -> AuditRow:
    """A row as it may be shown now: what was closed with a person's key is open, or told as erased (P8)."""

    def content(text: str | None) -> dict[str, Any] | None:
        found = None if text is None else msgspec.json.decode(text)
        told: dict[str, Any] | None = opened(
            found, person_keys, place=audit_place(row["workspace_id"])
        )
        return told

    return AuditRow(
        number=row["number"],
        at=rfc3339(row["at"]),
        actor=row["actor"],
        action=row["action"],
        object=row["object_id"],
        before=content(row["before"]),
        after=content(row["after"]),
    )
