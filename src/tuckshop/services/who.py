"""
Whose pseudonym it is: the provider names a member to us as we named them to it, and staff ask who that is (K10, P3).

No table leads from a pseudonym to a member. It is made again for every member whom the asker sees until one fits: so
whoever reads the database, but not the secret beside it, learns nothing, and one of another group's members is as
unknown as any other text (K5).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import InvalidFieldError, NotFoundError
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.personal import Personal
from tuckshop.services.reasons import reason_of
from tuckshop.services.shapes.who import Asked, Whose
from tuckshop.storage.person_keys import PersonKeys

_PSEUDONYM: Final = re.compile(r"[0-9a-f]{64}")

PseudonymOf = Callable[[str], str]  # member id → what an upstream is told of them


class Who:
    """Looks a pseudonym up."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        person_keys: PersonKeys,
        pseudonym_of: PseudonymOf,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._person_keys = person_keys
        self._pseudonym_of = pseudonym_of

    async def find(self, actor: Actor, asked: Asked) -> Whose:
        """
        The member whom an upstream knows by a pseudonym, archived or not. Leaves an audit row.

        Raises:
            InvalidFieldError: It is none, or there is no reason.
            NotFoundError: It is of nobody whom the actor sees.
        """
        wanted = asked.pseudonym.strip().lower()
        if not _PSEUDONYM.fullmatch(wanted):
            raise InvalidFieldError(
                "pseudonym",
                "expected the 64 hexadecimal digits that the provider shows as safety_identifier or user",
            )
        reason = reason_of(asked.reason)
        ids = [member.id for member in self._directory.members(actor)]
        member_id = await asyncio.to_thread(self._first, ids, wanted)
        if member_id is None:
            raise NotFoundError("It is the pseudonym of nobody here: was all of it copied?")
        await asyncio.to_thread(self._person_keys.ensure, [member_id])

        def work(edit: Edit) -> None:
            after = {"reason": Personal(member_id, reason)}
            edit.audit("member.identify", member_id, None, after)

        await self._changes.make(actor, work)
        member = self._directory.member(member_id, actor)
        group = self._directory.group_of(member)
        return Whose(
            member=member.id,
            group=group.id,
            group_name=group.name,
            external_id=member.external_id,
            name=member.name,
            email=member.email,
            state=member.state,
        )

    def _first(self, ids: Sequence[str], wanted: str) -> str | None:
        return next((id_ for id_ in ids if self._pseudonym_of(id_) == wanted), None)
