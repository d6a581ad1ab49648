"""
Telling a person everything about themselves: all of their groups that the asker sees (P4, P11; Art. 15 and 20 GDPR).

What staff may see anyway comes without a reason, and leaves a row that it was taken. What was kept of prompts and
answers is opened member by member, for a reason, by those whom the group lets read it (K16): a request of the person
makes no reader of somebody who is none. Staff appear as the audit trail names them, by role and id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from msgspec.structs import asdict

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.records import Member
from tuckshop.services.audit_trail import AuditTrail
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.exporting.bodies import PersonBodies
from tuckshop.services.exporting.rows import Rows, rows_of
from tuckshop.services.fields import rfc3339
from tuckshop.services.flags import FlagFilter, Flags
from tuckshop.services.holds import Holds
from tuckshop.services.keys import Keys
from tuckshop.services.mails import MailFilter, Mails
from tuckshop.services.members import Members
from tuckshop.services.paging import PAGE_MAX
from tuckshop.services.persons import shown_as_one
from tuckshop.services.shapes.exporting import (
    BodiesAsked,
    ExportedFlag,
    ExportedGroup,
    ExportedMember,
    MemberExport,
)
from tuckshop.services.shapes.holds import HoldShape
from tuckshop.services.shapes.kept_bodies import KeptBodyShape
from tuckshop.services.shapes.keys import KeyShape
from tuckshop.services.shapes.mails import MailShape
from tuckshop.services.usage import Usage, UsageQuery
from tuckshop.storage.database import Database
from tuckshop.storage.person_keys import PersonKeys

_BY: Final = "month,model"


class Exporting:
    """Answers who asks what is known about them."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        database: Database,
        person_keys: PersonKeys,
        *,
        members: Members,
        keys: Keys,
        flags: Flags,
        mails: Mails,
        usage: Usage,
        holds: Holds,
        audit_trail: AuditTrail,
        bodies: PersonBodies,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._database = database
        self._person_keys = person_keys
        self._members = members
        self._keys = keys
        self._flags = flags
        self._mails = mails
        self._usage = usage
        self._holds = holds
        self._audit_trail = audit_trail
        self._bodies = bodies
        self._clock = clock

    async def of_person(self, actor: Actor, member_id: str) -> MemberExport:
        """
        This member, and those with the same external id in the other groups that the actor sees.

        Where a group hides who its members are, a member is told alone, under the pseudonym: who they are, and as whom
        else they are known, is opened for a reason by `Identities`.

        Raises:
            NotFoundError: No such member.
        """
        persons = shown_as_one(self._directory, actor, self._directory.member(member_id, actor))

        def note(edit: Edit) -> None:
            for one in persons:
                edit.audit("member.export", one.id, None, None)

        await self._changes.make(actor, note)
        return MemberExport(
            at=rfc3339(self._clock.now_us()),
            data=[await self._of(actor, one) for one in persons],
        )

    async def bodies_of(
        self, actor: Actor, member_id: str, asked: BodiesAsked
    ) -> AsyncIterator[list[KeptBodyShape]]:
        """
        All that is kept of what this member asked and was answered, newest first, some at a time.

        What opens no more, since it is damaged, is left out.

        Raises:
            NotFoundError: No such member.
            NotPermittedError: The group does not name the actor's role among its readers, or a legal hold stands on it.
            InvalidFieldError: The reason.
            StoreError: The file cannot be read.
        """
        return await self._bodies.all(actor, self._directory.member(member_id, actor), asked.reason)

    async def _of(self, actor: Actor, member: Member) -> ExportedMember:
        group = self._directory.group_of(member)
        shape = await self._members.get(actor, member.id)
        flags = [
            flag
            async for some in self._flags.all(actor, FlagFilter(member=member.id))
            for flag in some
        ]
        usage = await self._usage.report(
            actor, UsageQuery(by=_BY, member=member.id, time_zone=group.zone.current)
        )
        trail = await self._audit_trail.about(member)

        def read() -> Rows:
            with self._database.reader() as connection:
                return rows_of(
                    connection, self._directory.workspace.id, member.id, self._person_keys
                )

        rows = await asyncio.to_thread(read)
        return ExportedMember(
            member=shape,
            created_at=rows.created_at,
            erased_at=rows.erased_at,
            group=ExportedGroup(
                id=group.id,
                name=group.name,
                title=group.title,
                time_zone=group.zone.current,
                log_days=group.log_days,
                logging=group.logging,
            ),
            keys=await self._keys_of(actor, member),
            links=rows.links,
            usage=usage.data,
            entries=rows.entries,
            calls=rows.calls,
            bodies=await self._bodies.told(actor, member),
            flags=[
                ExportedFlag(**asdict(flag), requests=rows.calls_of_flags.get(flag.id, []))
                for flag in reversed(flags)
            ],
            appeals=rows.appeals,
            mails=await self._mails_of(actor, member),
            notices=rows.notices,
            holds=await self._holds_of(actor, member),
            reads=trail.reads,
            trail=trail.rows,
        )

    async def _keys_of(self, actor: Actor, member: Member) -> list[KeyShape]:
        found: list[KeyShape] = []
        cursor: str | None = None
        while True:
            page = await self._keys.page(
                actor, member=member.id, state="all", cursor=cursor, limit=PAGE_MAX
            )
            found += page.data
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def _mails_of(self, actor: Actor, member: Member) -> list[MailShape]:
        found: list[MailShape] = []
        cursor: str | None = None
        while True:
            chosen = MailFilter(member=member.id, cursor=cursor, limit=PAGE_MAX)
            page = await self._mails.page(actor, chosen)
            found += page.data
            cursor = page.next_cursor
            if cursor is None:
                return found[::-1]

    async def _holds_of(self, actor: Actor, member: Member) -> list[HoldShape]:
        """Those on the member, and on the whole group."""
        found: list[HoldShape] = []
        cursor: str | None = None
        while True:
            page = await self._holds.page(actor, state="all", cursor=cursor, limit=PAGE_MAX)
            found += [
                one
                for one in page.data
                if one.member == member.id or (one.member is None and one.group == member.group_id)
            ]
            cursor = page.next_cursor
            if cursor is None:
                return found
