"""
Who is behind a pseudonym: told to owners and the operator for a reason, which the audit trail keeps (K16, P11).

A person is an external id in the workspace. Whoever asks learns of all groups of theirs that they see at once, and each
of these members gets its row in the trail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from sqlalchemy import Table, select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import (
    ConflictError,
    NotPermittedError,
)
from tuckshop.domain.pseudonyms import pseudonym_of
from tuckshop.domain.records import Member
from tuckshop.services.batches import by_batches
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.groups import Groups
from tuckshop.services.personal import Personal
from tuckshop.services.persons import members_called, same_person
from tuckshop.services.reasons import reason_of
from tuckshop.services.shapes.groups import GroupShape
from tuckshop.services.shapes.identities import Identity, IdentityPage, Membership
from tuckshop.services.shapes.workspace import WorkspaceShape
from tuckshop.services.workspaces import Workspaces
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.schema import groups, workspaces


class Identities:
    """Opens pseudonyms, and puts an end to them."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        person_keys: PersonKeys,
        shown: Groups,
        workspace: Workspaces,
    ) -> None:
        self._changes = changes
        self._person_keys = person_keys
        self._directory = directory
        self._groups = shown
        self._workspace = workspace

    async def open(self, actor: Actor, member_id: str, reason: str) -> Identity:
        """
        Who a member is.

        Raises:
            NotFoundError: No such member.
            InvalidFieldError: The reason.
        """
        member = self._directory.member(member_id, actor)
        same = same_person(self._directory, actor, member)
        await self._note(actor, same, reason)
        return self._identity(member, same)

    async def find(self, actor: Actor, external_id: str, reason: str) -> IdentityPage:
        """
        The members who are the person with this external id, in all groups that the actor sees.

        That somebody asked is in the audit trail, whether there is one or not; why, with each member it opened.

        Raises:
            InvalidFieldError: The reason.
        """
        same = members_called(self._directory, actor, external_id)
        reason_of(reason)

        def work(edit: Edit) -> None:
            # What was asked for, and why, may name a stranger, whose key closes nothing here (P8).
            edit.audit("member.find", edit.workspace_id, None, {"hits": len(same)})

        await self._changes.make(actor, work)
        await self._note(actor, same, reason)
        return IdentityPage(data=[self._identity(member, same) for member in same])

    async def open_all(self, actor: Actor, members: Sequence[Member], reason: str) -> None:
        """
        Note that the actor is about to be told who all of these are, before they are.

        Raises:
            NotPermittedError: The actor is no owner of the group, nor the operator.
            InvalidFieldError: The reason.
        """
        if not actor.is_at_least("owner"):
            raise NotPermittedError(
                "reason: names are opened by an owner of the group, or the operator."
            )
        await self._note(actor, members, reason)

    async def unmask_group(self, actor: Actor, name_or_id: str, reason: str) -> GroupShape:
        """
        Show staff again who the members of a group are.

        Raises:
            NotFoundError: No such group.
            ConflictError: The workspace hides the members of all groups.
            InvalidFieldError: The reason.
        """
        group_id = self._directory.group(name_or_id, actor).id
        if self._directory.workspace.pseudonyms:
            raise ConflictError(
                "Pseudonyms are set for all groups together: only the operator ends that, by "
                "`tuckshop workspace unmask`."
            )
        await self._unmask(actor, groups, group_id, "group.unmask", reason)
        return await self._groups.get(actor, group_id)

    async def unmask_workspace(self, actor: Actor, reason: str) -> WorkspaceShape:
        """
        End the pseudonyms of all groups together; groups that have set them themselves keep theirs.

        Raises:
            InvalidFieldError: The reason.
        """
        workspace_id = self._directory.workspace.id
        await self._unmask(actor, workspaces, workspace_id, "workspace.unmask", reason)
        return await self._workspace.get(actor)

    async def _unmask(self, actor: Actor, table: Table, id_: str, action: str, reason: str) -> None:
        reason = reason_of(reason)
        mine = [table.c.id == id_]
        if table is groups:
            mine.append(groups.c.workspace_id == self._directory.workspace.id)

        def work(edit: Edit) -> None:
            if not edit.connection.execute(select(table.c.pseudonyms).where(*mine)).scalar_one():
                return
            edit.connection.execute(update(table).where(*mine).values(pseudonyms=False))
            edit.audit(action, id_, {"pseudonyms": True}, {"pseudonyms": False, "reason": reason})
            edit.touch(id_)

        await self._changes.make(actor, work)

    async def _note(self, actor: Actor, members: Iterable[Member], reason: str) -> None:
        checked = reason_of(reason)
        ids = [member.id for member in members]
        await asyncio.to_thread(self._person_keys.ensure, ids)

        def work(edit: Edit, batch: Sequence[str]) -> None:
            for member_id in batch:
                told = {"reason": Personal(member_id, checked)}
                edit.audit("member.identity", member_id, None, told)

        async for _ in by_batches(self._changes, actor, ids, work):
            pass

    def _identity(self, member: Member, same: Sequence[Member]) -> Identity:
        person = self._directory.person(member.id)
        return Identity(
            member=member.id,
            group=member.group_id,
            pseudonym=pseudonym_of(member.id),
            external_id=person.external_id,
            name=person.name,
            email=person.email,
            others=[
                Membership(member=one.id, group=one.group_id, pseudonym=pseudonym_of(one.id))
                for one in same
                if one.id != member.id
            ],
        )
