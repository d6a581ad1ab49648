"""
Legal holds: bodies of a member or a group are not deleted, and not read but by the operator, until it is released.

That is the restriction of Art. 18 GDPR, and what a court may ask for. A hold is audited with its reason; whatever would
delete (retention, erasure) asks `in_force` first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Literal

from sqlalchemy import insert, select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import ConflictError, InvalidFieldError, NotFoundError
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.once import Once, once, same
from tuckshop.services.paging import PAGE_DEFAULT, cursor_after, mark_of
from tuckshop.services.personal import Personal
from tuckshop.services.reasons import reason_of
from tuckshop.services.search import seen_by
from tuckshop.services.shapes.holds import HoldPage, HoldRelease, HoldShape, NewHold
from tuckshop.storage.audit import actor_text
from tuckshop.storage.database import Database
from tuckshop.storage.holds import HoldsInForce, holds_in_force
from tuckshop.storage.schema import holds

ListedHolds = Literal["active", "released", "all"]


class Holds:
    """What staff do with legal holds."""

    def __init__(self, changes: Changes, directory: Directory, database: Database) -> None:
        self._changes = changes
        self._directory = directory
        self._database = database
        self._set: Callable[[], Awaitable[object]] | None = None

    def on_set(self, listener: Callable[[], Awaitable[object]]) -> None:
        """Have *listener* run after a hold is set and before that is told: what it covers is deleted no more."""
        self._set = listener

    async def create(self, actor: Actor, new: NewHold, *, claim: Once | None = None) -> HoldShape:
        """
        Hold what is kept of a group or a member. From its return on nothing of it is deleted.

        Raises:
            InvalidFieldError: Both are named, or neither; the reason.
            NotFoundError: No such group or member.
        """
        reason = reason_of(new.reason)
        if (new.group is None) == (new.member is None):
            raise InvalidFieldError("member", "name a group or a member, one of the two")
        if new.member is not None:
            member = self._directory.member(new.member, actor)
            group_id, member_id, whose = member.group_id, member.id, member.id
        else:
            group_id = self._directory.group(new.group or "", actor).id
            member_id, whose = None, group_id

        def make(edit: Edit) -> str:
            hold_id = edit.new_id("hld")
            edit.connection.execute(
                insert(holds).values(
                    workspace_id=edit.workspace_id,
                    id=hold_id,
                    group_id=group_id,
                    member_id=member_id,
                    at=edit.now_us,
                    set_by=actor_text(edit.actor),
                )
            )
            after = {"hold": hold_id, "reason": Personal(whose, reason)}
            edit.audit("hold.set", whose, None, after)
            return hold_id

        def work(edit: Edit) -> str:
            return once(edit, claim, lambda: make(edit), told=same, again=str)

        hold_id = await self._changes.make(actor, work)
        if self._set is not None:
            await self._set()
        return await self._get(actor, hold_id)

    async def page(
        self,
        actor: Actor,
        *,
        state: ListedHolds = "active",
        cursor: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> HoldPage:
        """
        Holds, oldest first.

        Raises:
            InvalidFieldError: The cursor.
        """
        query = (
            select(holds)
            .where(
                holds.c.workspace_id == self._directory.workspace.id,
                holds.c.id > (mark_of(cursor) or ""),
                *seen_by(actor, holds.c.group_id),
            )
            .order_by(holds.c.id)
            .limit(limit + 1)
        )
        if state == "active":
            query = query.where(holds.c.released_at.is_(None))
        elif state == "released":
            query = query.where(holds.c.released_at.is_not(None))

        def read() -> list[HoldShape]:
            with self._database.reader() as connection:
                return [_shape(dict(row)) for row in connection.execute(query).mappings()]

        rows = await asyncio.to_thread(read)
        more = len(rows) > limit
        rows = rows[:limit]
        return HoldPage(data=rows, next_cursor=cursor_after(rows[-1].id) if more else None)

    async def release(self, actor: Actor, hold_id: str, asked: HoldRelease) -> HoldShape:
        """
        Let what was held go its way: what its group no longer keeps is deleted within a minute.

        Raises:
            NotFoundError: No such hold.
            ConflictError: It is released already.
            InvalidFieldError: The reason.
        """
        reason = reason_of(asked.reason)
        found = await self._get(actor, hold_id)
        whose = found.member or found.group

        def work(edit: Edit) -> None:
            released = edit.connection.execute(
                update(holds)
                .where(
                    holds.c.workspace_id == edit.workspace_id,
                    holds.c.id == hold_id,
                    holds.c.released_at.is_(None),
                )
                .values(released_at=edit.now_us, released_by=actor_text(edit.actor))
            )
            if not released.rowcount:
                raise ConflictError("It is released already.")
            after = {"hold": hold_id, "reason": Personal(whose, reason)}
            edit.audit("hold.release", whose, None, after)

        await self._changes.make(actor, work)
        return await self._get(actor, hold_id)

    async def in_force(self) -> HoldsInForce:
        """Of whom nothing may be deleted."""
        workspace_id = self._directory.workspace.id

        def read() -> HoldsInForce:
            with self._database.reader() as connection:
                return holds_in_force(connection, workspace_id)

        return await asyncio.to_thread(read)

    async def refuse_if_held(self, member_ids: Collection[str]) -> None:
        """
        For whatever would delete what is kept of these members.

        Raises:
            ConflictError: A hold stands on one of them, or on their group.
        """
        found = await self.in_force()
        for member in self._directory.known_members(member_ids):
            if found.cover(group_id=member.group_id, member_id=member.id):
                raise ConflictError(
                    f"A legal hold stands on member {member.id}, or on their group: nothing of theirs may be deleted."
                    " Release it first, with a reason."
                )

    async def _get(self, actor: Actor, hold_id: str) -> HoldShape:
        query = select(holds).where(
            holds.c.workspace_id == self._directory.workspace.id,
            holds.c.id == hold_id,
            *seen_by(actor, holds.c.group_id),
        )

        def read() -> HoldShape | None:
            with self._database.reader() as connection:
                row = connection.execute(query).mappings().one_or_none()
                return None if row is None else _shape(dict(row))

        found = await asyncio.to_thread(read)
        if found is None:
            raise NotFoundError(f"There is no hold {hold_id!r}.")
        return found


def _shape(row: Mapping[str, Any]) -> HoldShape:
    released_at = row["released_at"]
    return HoldShape(
        id=row["id"],
        group=row["group_id"],
        member=row["member_id"],
        at=rfc3339(row["at"]),
        set_by=row["set_by"],
        released_at=None if released_at is None else rfc3339(released_at),
        released_by=row["released_by"],
    )
