"""Keys, or the links that fetch them, for a whole group: what goes on slips, into a file or into mails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ConflictError, InvalidFieldError, NotFoundError
from tuckshop.domain.records import Group, Member
from tuckshop.services.batches import batches, by_batches
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.claims import ClaimLink, Claims
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.identities import Identities
from tuckshop.services.limit_words import sentences
from tuckshop.services.once import Once, once
from tuckshop.services.reissuing import (
    Handed,
    Reissue,
    hand_out,
    hand_out_again,
    is_active_key,
    told_of_handed,
)
from tuckshop.services.shapes.claims import HandedOut, HandedOutRow, HandOut
from tuckshop.services.standing import policy_of_member
from tuckshop.storage.database import Database
from tuckshop.storage.schema import keys

_ROWS_PER_STEP: Final = 100  # so that a large group never keeps the event loop


class HandingOut:
    """What staff do at the beginning of a term, and when a whole class has lost its keys."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        claims: Claims,
        identities: Identities,
        database: Database,
        clock: Clock,
        *,
        public_url: str | None,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._claims = claims
        self._identities = identities
        self._database = database
        self._clock = clock
        self._public_url = public_url

    async def keys(
        self, actor: Actor, group: str, asked: HandOut, *, claim: Once | None = None
    ) -> HandedOut:
        """
        A key for each active member who has none that opens, and a new secret for the others if asked for.

        Repeating a call goes on where it broke off.

        Raises:
            NotFoundError: No such group, or no such member in it.
            ConflictError: The group is archived.
            InvalidFieldError: The overlap, or the reason.
            NotPermittedError: Names are to be opened, which is an owner's.
        """
        if asked.overlap is not None and not asked.reissue:
            raise InvalidFieldError("overlap", "is how long secrets open on that reissue replaces")
        reissue = Reissue.of(asked.overlap) if asked.reissue else None
        found = self._group(group, actor)
        chosen, paused = self._members(found, asked.members)
        chosen = await self._named(actor, found, chosen, asked.reason)
        handed: dict[str, Handed] = {}

        def work(edit: Edit, batch: Sequence[tuple[int, str]]) -> dict[str, Handed]:
            ids = [member_id for _, member_id in batch]
            return once(
                edit,
                None if claim is None else claim.part(batch[0][0]),
                lambda: hand_out(edit, found.id, ids, reissue=reissue),
                told=lambda made: told_of_handed(made, edit.now_us),
                again=lambda told: hand_out_again(edit, told),
            )

        numbered = list(enumerate(one.id for one in chosen))
        async for some in by_batches(self._changes, actor, numbered, work):
            handed |= {id_: one for id_, one in some.items() if one.secret is not None}
        return await self._handed_out(found, chosen, handed, paused)

    async def links(
        self,
        actor: Actor,
        group: str,
        *,
        to_all: bool,
        member_ids: Sequence[str] | None = None,
        reason: str | None = None,
    ) -> HandedOut:
        """
        A claim link for each active member without a key that opens, or for all of them.

        Raises:
            NotFoundError: No such group, or no such member in it.
            ConflictError: The group is archived, or no address is set to build links from.
            NotPermittedError: Names are to be opened, which is an owner's.
        """
        self._claims.check_links_can_be_made()
        found = self._group(group, actor)
        chosen, left_out = self._members(found, member_ids)
        if not to_all:
            served = await asyncio.to_thread(self._served, found.id)
            left_out += sum(one.id in served for one in chosen)
            chosen = [one for one in chosen if one.id not in served]
        chosen = await self._named(actor, found, chosen, reason)
        links: dict[str, ClaimLink] = {}
        ids = [one.id for one in chosen]
        async for some in by_batches(self._changes, actor, ids, self._claims.links_in):
            links |= some
        return await self._handed_out(found, chosen, links, left_out)

    def _group(self, group: str, actor: Actor) -> Group:
        found = self._directory.group(group, actor)
        if found.state == "archived":
            raise ConflictError("The group is archived: resume it first.")
        return found

    def _members(self, group: Group, ids: Sequence[str] | None) -> tuple[list[Member], int]:
        """Those who can be served, and how many of those asked for are paused or archived."""
        of_group = self._directory.member_ids(group.id)
        if ids is not None:
            known = set(of_group)
            for member_id in ids:
                if member_id not in known:
                    raise NotFoundError(f"There is no member {member_id!r} in the group.")
        members = self._directory.known_members(dict.fromkeys(of_group if ids is None else ids))
        active = [one for one in members if one.state == "active"]
        return active, len(members) - len(active)

    async def _named(
        self, actor: Actor, group: Group, chosen: list[Member], reason: str | None
    ) -> list[Member]:
        """The same by their names, where a reason opens those that the group hides: who hands out has to know."""
        if reason is None or not self._directory.hides_names(group.id):
            return chosen
        await self._identities.open_all(actor, chosen, reason)
        people = {one.id: self._directory.person(one.id) for one in chosen}
        return [
            replace(
                one,
                external_id=people[one.id].external_id,
                name=people[one.id].name,
                email=people[one.id].email,
            )
            for one in chosen
        ]

    def _served(self, group_id: str) -> set[str]:
        """The members of a group who have a key that opens."""
        query = select(keys.c.member_id).where(
            keys.c.workspace_id == self._directory.workspace.id,
            keys.c.group_id == group_id,
            is_active_key(self._clock.now_us()),
        )
        with self._database.reader() as connection:
            return set(connection.execute(query).scalars())

    async def _handed_out(
        self,
        group: Group,
        chosen: Sequence[Member],
        made: Mapping[str, Handed] | Mapping[str, ClaimLink],
        left_out: int,
    ) -> HandedOut:
        rows: list[HandedOutRow] = []
        for some in batches(chosen, _ROWS_PER_STEP):
            rows += [self._row(group, one, made[one.id]) for one in some if one.id in made]
            await asyncio.sleep(0)
        return HandedOut(
            course=group.title or group.name,
            base_url=None if self._public_url is None else f"{self._public_url.rstrip('/')}/v1",
            data=rows,
            left_out=left_out + len(chosen) - len(rows),
        )

    def _row(self, group: Group, member: Member, one: Handed | ClaimLink) -> HandedOutRow:
        policy = policy_of_member(member, group, self._directory.workspace)
        models = policy.allowed_models()
        if isinstance(one, ClaimLink):
            given: dict[str, Any] = {"action": "linked", "url": one.url}
        else:
            action = "rotated" if one.is_rotated else "issued"
            given = {"action": action, "key": one.secret, "key_id": one.key_id}
        return HandedOutRow(
            member=member.id,
            external_id=member.external_id,
            name=member.name,
            email=member.email,
            expires_at=None if one.expires_at_us is None else rfc3339(one.expires_at_us),
            models=None if models == ("*",) else list(models),
            limits=sentences(policy.limits, self._clock.now_us()),
            **given,
        )
