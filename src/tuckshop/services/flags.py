"""Flags, as staff see them: who said too much, how often, what was done about it, and whether that stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import ConflictError, NotFoundError
from tuckshop.domain.flags import FlagSource, FlagState
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.flag_notes import FlagNotes
from tuckshop.services.issuing import audited_key
from tuckshop.services.paging import PAGE_DEFAULT, PAGE_MAX, PageSize, cursor_after, mark_of
from tuckshop.services.personal import Personal, words
from tuckshop.services.reasons import reason_of
from tuckshop.services.request_log import time_of
from tuckshop.services.roster import audited_member
from tuckshop.services.search import seen_by
from tuckshop.services.shapes.flags import AppealShape, FlagDetail, FlagPage, FlagShape, Resolution
from tuckshop.services.shapes.parts import Sent
from tuckshop.storage.audit import actor_text
from tuckshop.storage.database import Database
from tuckshop.storage.person_keys import PersonKeyGoneError, PersonKeys
from tuckshop.storage.rows import list_of_text
from tuckshop.storage.schema import appeals, flagged_calls, flags, keys, members

CALLS_SHOWN: Final = 100


class FlagFilter(Sent, frozen=True, kw_only=True):
    """Which flags are asked for. Times are RFC 3339, or a day in UTC; a flag is of all the time that it was seen in."""

    group: str | None = None
    member: str | None = None
    state: FlagState | None = None
    source: FlagSource | None = None
    since: str | None = None
    until: str | None = None  # not included
    cursor: str | None = None
    limit: PageSize | None = None  # JSON: 100 unless said; a file: all


class Flags:
    """What staff do with flags."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        notes: FlagNotes,
        database: Database,
        person_keys: PersonKeys,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._notes = notes
        self._database = database
        self._person_keys = person_keys

    async def page(self, actor: Actor, chosen: FlagFilter) -> FlagPage:
        """
        The flags that match, newest first.

        Raises:
            NotFoundError: No such group or member.
            InvalidFieldError: A time or the cursor.
        """
        limit = chosen.limit or PAGE_DEFAULT
        rows = await self._read(actor, chosen, mark_of(chosen.cursor), limit + 1)
        return FlagPage(
            data=rows[:limit],
            next_cursor=cursor_after(rows[limit - 1].id) if len(rows) > limit else None,
        )

    async def all(self, actor: Actor, chosen: FlagFilter) -> AsyncIterator[list[FlagShape]]:
        """The same, to the last, some at a time."""
        before, left = mark_of(chosen.cursor), chosen.limit
        while left is None or left > 0:
            rows = await self._read(actor, chosen, before, min(PAGE_MAX, left or PAGE_MAX))
            if not rows:
                return
            yield rows
            before = rows[-1].id
            left = None if left is None else left - len(rows)

    async def get(self, actor: Actor, flag_id: str) -> FlagDetail:
        """
        A flag, and the calls it was found in.

        Raises:
            NotFoundError: No such flag that the actor sees.
        """
        row = await self._row(actor, flag_id)
        calls = (
            select(flagged_calls.c.request_id)
            .where(
                flagged_calls.c.workspace_id == self._directory.workspace.id,
                flagged_calls.c.flag_id == flag_id,
            )
            .order_by(flagged_calls.c.position.desc(), flagged_calls.c.request_id.desc())
            .limit(CALLS_SHOWN)
        )

        said = (
            select(appeals)
            .where(
                appeals.c.workspace_id == self._directory.workspace.id,
                appeals.c.member_id == row["member_id"],
                appeals.c.state == "used",
                (appeals.c.flag_id == flag_id)
                | (appeals.c.flag_id.is_(None) & (appeals.c.sent_at >= row["at"])),
            )
            .order_by(appeals.c.sent_at)
        )

        def read() -> FlagDetail:
            with self._database.reader() as connection:
                found = list(connection.execute(calls).scalars())
                appealed = connection.execute(said).mappings().all()
            return FlagDetail(
                **msgspec.structs.asdict(self._shape(row)),
                requests=found,
                appeals=[self._appeal(dict(one)) for one in appealed],
            )

        return await asyncio.to_thread(read)

    async def resolve(self, actor: Actor, flag_id: str, resolution: Resolution) -> FlagDetail:
        """
        Say whether a flag stands. What its strike paused goes on only if that is asked for.

        Raises:
            NotFoundError: No such flag that the actor sees.
            InvalidFieldError: The reason.
            ConflictError: What is to go on is closed for good.
        """
        member_id = (await self._row(actor, flag_id))["member_id"]
        reason = reason_of(resolution.reason)
        sealed = await asyncio.to_thread(self._sealed, member_id, flag_id, reason)

        def work(edit: Edit) -> None:
            before = _row_in(edit, flag_id)
            edit.connection.execute(
                update(flags)
                .where(flags.c.workspace_id == edit.workspace_id, flags.c.id == flag_id)
                .values(
                    state=resolution.state,
                    reason=sealed,
                    resolved_by=actor_text(edit.actor),
                    resolved_at=edit.now_us,
                )
            )
            after = {"state": resolution.state, "reason": Personal(member_id, reason)}
            edit.audit("flag.resolve", flag_id, {"state": before["state"]}, after)
            if resolution.resume and before["struck_id"] is not None:
                _resume(edit, before["struck_id"], flag_id)

        await self._changes.make(actor, work)
        return await self.get(actor, flag_id)

    async def _read(
        self, actor: Actor, chosen: FlagFilter, before: str | None, limit: int
    ) -> list[FlagShape]:
        query = (
            select(flags)
            .where(*self._terms(actor, chosen, before))
            .order_by(flags.c.id.desc())
            .limit(limit)
        )

        def read() -> list[FlagShape]:
            with self._database.reader() as connection:
                rows = connection.execute(query).mappings().all()
            return [self._shape(dict(row)) for row in rows]

        await self._notes.flush()
        return await asyncio.to_thread(read)

    def _terms(
        self, actor: Actor, chosen: FlagFilter, before: str | None
    ) -> list[ColumnElement[bool]]:
        columns = flags.c
        terms = [
            columns.workspace_id == self._directory.workspace.id,
            *seen_by(actor, columns.group_id),
        ]
        if before is not None:
            terms.append(columns.id < before)
        if chosen.group is not None:
            terms.append(columns.group_id == self._directory.group(chosen.group, actor).id)
        if chosen.member is not None:
            terms.append(columns.member_id == self._directory.member(chosen.member, actor).id)
        if chosen.state is not None:
            terms.append(columns.state == chosen.state)
        if chosen.source is not None:
            terms.append(columns.source == chosen.source)
        if (since_us := time_of("since", chosen.since)) is not None:
            terms.append(columns.last_at >= since_us)
        if (until_us := time_of("until", chosen.until)) is not None:
            terms.append(columns.at < until_us)
        return terms

    async def _row(self, actor: Actor, flag_id: str) -> Mapping[str, Any]:
        query = select(flags).where(
            flags.c.workspace_id == self._directory.workspace.id,
            flags.c.id == flag_id,
            *seen_by(actor, flags.c.group_id),
        )

        def read() -> Mapping[str, Any] | None:
            with self._database.reader() as connection:
                row = connection.execute(query).mappings().first()
                return None if row is None else dict(row)

        await self._notes.flush()
        found = await asyncio.to_thread(read)
        if found is None:
            raise NotFoundError(f"There is no flag {flag_id!r}.")
        return found

    def _sealed(self, member_id: str, flag_id: str, reason: str) -> bytes | None:
        """The reason as it is kept; of a person who was erased nothing is."""
        try:
            return self._person_keys.seal(member_id, reason.encode(), place=_place(flag_id))
        except PersonKeyGoneError:
            return None

    def _appeal(self, row: Mapping[str, Any]) -> AppealShape:
        place = appeal_place(row["id"])
        reason = words(row["member_id"], row["reason"], self._person_keys, place=place)
        return AppealShape(at=rfc3339(row["sent_at"]), by=row["sent_by"], reason=reason)

    def _shape(self, row: Mapping[str, Any]) -> FlagShape:
        reason = words(row["member_id"], row["reason"], self._person_keys, place=_place(row["id"]))
        return FlagShape(
            id=row["id"],
            at=rfc3339(row["at"]),
            last_at=rfc3339(row["last_at"]),
            repeats=row["repeats"],
            group=row["group_id"],
            member=row["member_id"],
            key=row["key_id"],
            request=row["request_id"],
            source=row["source"],
            action=row["action"],
            reasons=list(list_of_text(row["reasons"])),
            scores=msgspec.json.decode(row["scores"], type=dict[str, float]),
            own=row["is_own"],
            state=row["state"],
            paused=row["struck_id"],
            resolved_by=row["resolved_by"],
            resolved_at=None if row["resolved_at"] is None else rfc3339(row["resolved_at"]),
            reason=reason,
            appealed_at=None if row["appealed_at"] is None else rfc3339(row["appealed_at"]),
        )


def appeal_place(appeal_id: str) -> str:
    """Where the words of an appeal stand."""
    return f"appeal/{appeal_id}"


def _place(flag_id: str) -> str:
    """Where the reason of a flag stands."""
    return f"flag/{flag_id}"


def _row_in(edit: Edit, flag_id: str) -> Mapping[str, Any]:
    query = select(flags).where(flags.c.workspace_id == edit.workspace_id, flags.c.id == flag_id)
    return dict(edit.connection.execute(query).mappings().one())


def _resume(edit: Edit, struck_id: str, flag_id: str) -> None:
    """Let the member or the key go on that a strike paused, if it is paused still."""
    table, shown = (
        (keys, audited_key) if struck_id.startswith("key_") else (members, audited_member)
    )
    query = select(table).where(table.c.workspace_id == edit.workspace_id, table.c.id == struck_id)
    before = dict(edit.connection.execute(query).mappings().one())
    if before["state"] == "active":
        return
    kind = table.name.removesuffix("s")
    if before["state"] != "paused":
        raise ConflictError(
            f"The {kind} is {before['state']}, not paused: leave resume out, or resume it first."
        )

    def audited(columns: Mapping[str, object]) -> dict[str, object]:
        why = {"flag": flag_id} if columns["state"] == "active" else {}
        return {**shown(columns), **why}

    edit.alter(table, f"{kind}.resume", before, {"state": "active"}, audited=audited)
