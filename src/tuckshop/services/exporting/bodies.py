"""What is kept of everything a member asked and was answered: counted, and opened for a reason (K16, P4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import GoneError, NotPermittedError
from tuckshop.domain.records import Member
from tuckshop.keeping.body_file import Row, reading
from tuckshop.keeping.keeper import Keeper
from tuckshop.keeping.seals import Seals
from tuckshop.services.batches import PAUSE_S
from tuckshop.services.body_retention import is_still_kept, span_of
from tuckshop.services.body_shapes import shape_of
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.holds import Holds
from tuckshop.services.personal import Personal
from tuckshop.services.reasons import reason_of
from tuckshop.services.shapes.exporting import ExportedBodies
from tuckshop.services.shapes.kept_bodies import KeptBodyShape

SOME: Final = 10  # at once: each may be as large as a body may be
_LAST: Final = (2**62, "")


class PersonBodies:
    """Of one member after the other."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        keeper: Keeper,
        seals: Seals,
        holds: Holds,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._keeper = keeper
        self._seals = seals
        self._holds = holds
        self._clock = clock

    async def told(self, actor: Actor, member: Member) -> ExportedBodies:
        """
        How many there are, and whether the actor may read them.

        Raises:
            StoreError: The file cannot be read.
        """
        await self._keeper.flush()
        why_not = await self._why_not(actor, member)
        count = await self._count(member, is_held=await self._is_held(member))
        return ExportedBodies(kept=count, readable=why_not is None, why_not=why_not)

    async def all(
        self, actor: Actor, member: Member, reason: str
    ) -> AsyncIterator[list[KeptBodyShape]]:
        """
        All of them, newest first, some at a time; the row of it is written before the first.

        Raises:
            NotPermittedError: The group does not name the actor's role among its readers, or a legal hold stands on it.
            InvalidFieldError: The reason.
            StoreError: The file cannot be read.
        """
        checked = reason_of(reason)
        await self._keeper.flush()
        why_not = await self._why_not(actor, member)
        is_held = await self._is_held(member)
        count = await self._count(member, is_held=is_held)
        action = "body.export" if why_not is None else "body.refuse"

        def note(edit: Edit) -> None:
            after = {"bodies": count, "reason": Personal(member.id, checked)}
            edit.audit(action, member.id, None, after)

        await self._changes.make(actor, note)
        if why_not is not None:
            raise NotPermittedError(why_not)
        return self._opened(member, is_held=is_held)

    async def _opened(self, member: Member, *, is_held: bool) -> AsyncIterator[list[KeptBodyShape]]:
        workspace_id = self._directory.workspace.id
        logging = self._directory.group_of(member).logging
        mark = _LAST

        def fetch(mark: tuple[int, str]) -> list[Row]:
            with reading(self._keeper.path) as bodies:
                if bodies is None:
                    return []
                return bodies.newest_first(
                    workspace_id,
                    group_id=None,
                    member_id=member.id,
                    since_us=0,
                    before=mark,
                    limit=SOME,
                )

        while rows := await asyncio.to_thread(fetch, mark):
            for body, sealed in rows:
                mark = (body.at_us, body.request_id)
                if not is_held and not is_still_kept(body, logging, self._clock.now_us()):
                    continue
                try:
                    yield [await asyncio.to_thread(self._on_a_line, (body, sealed))]
                except GoneError:
                    continue
            await asyncio.sleep(PAUSE_S)

    def _on_a_line(self, row: Row) -> KeptBodyShape:
        """A body, without the line ends that its JSON may have between its parts."""
        shape = shape_of(self._seals, *row)
        return msgspec.structs.replace(
            shape, request=_in_one_line(shape.request), reply=_in_one_line(shape.reply)
        )

    async def _count(self, member: Member, *, is_held: bool) -> int:
        """How many there are of those that are kept still."""
        span = span_of(self._directory.group_of(member).logging, self._clock.now_us())

        def read() -> int:
            with reading(self._keeper.path) as bodies:
                if bodies is None:
                    return 0
                return bodies.count_since(
                    self._directory.workspace.id,
                    member.id,
                    flagged_us=0 if is_held else span.flagged_since_us,
                    others_us=0 if is_held else span.others_since_us,
                )

        return await asyncio.to_thread(read)

    async def _is_held(self, member: Member) -> bool:
        held = await self._holds.in_force()
        return held.cover(group_id=member.group_id, member_id=member.id)

    async def _why_not(self, actor: Actor, member: Member) -> str | None:
        """Why the actor may not read them; None: it may."""
        logging = self._directory.group_of(member).logging
        if await self._is_held(member):
            if actor.is_at_least("operator"):
                return None
            return "A legal hold stands on it: the operator alone may read it."
        if logging.may_read(actor):
            return None
        return (
            f"Bodies of this group are read by: {', '.join(logging.readers)}."
            f" Your token has the role {actor.role}."
        )


def _in_one_line(value: object) -> object:
    if not isinstance(value, msgspec.Raw):
        return value
    try:
        return msgspec.Raw(msgspec.json.format(bytes(value), indent=-1))
    except RecursionError:  # deeper than is taken apart: as text
        return bytes(value).decode(errors="replace")
