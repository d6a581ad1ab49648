"""
Erasing people, step by step: what is kept of a person goes, sums without a name stay (P4, P8, P11, M8, M14).

The steps, each of which may be repeated: the list beside the ledger says who is to be erased; then their rows become
nameless, a few in a transaction, with an audit row each, which closes their keys and ends their calls; what running
calls leave, and tags and networks in the log, are taken out in pieces; the person's key is destroyed, which makes dark
whatever copies there are; small tables are written anew and the database's log is emptied, so that no old bytes stay.
At last the list says that it is done. Whatever a crash interrupts is finished by the next start (`recovery.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ConflictError, InvalidFieldError, TuckshopError
from tuckshop.domain.pseudonyms import Person
from tuckshop.domain.records import Group, Member
from tuckshop.keeping.body_file import reading
from tuckshop.keeping.keeper import Keeper
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.batches import by_batches
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.erasing.cleaning import Cleaning
from tuckshop.services.erasing.rows import (
    Found,
    ended_members,
    look,
    open_calls,
    strip,
)
from tuckshop.services.holds import Holds
from tuckshop.services.identities import Identities
from tuckshop.services.persons import same_person
from tuckshop.services.reasons import reason_of
from tuckshop.services.shapes.erasing import (
    ErasedMember,
    ErasureReport,
    GroupErasure,
    MemberErasure,
)
from tuckshop.storage.database import Database
from tuckshop.storage.erasures import Erasure, ErasureList
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)

MEMBERS_PER_CALL: Final = 200  # of a group: the client repeats the call and can tell how far it is
CALLS_END_WITHIN_S: Final = 3.0  # those of a closed key are cut off within a second
LOOK_AGAIN_S: Final = 5.0
_SHORTEST_NAME: Final = 3


class Erasing:
    """What staff do to forget people."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        ledger: Ledger,
        database: Database,
        person_keys: PersonKeys,
        erasures: ErasureList,
        cleaning: Cleaning,
        keeper: Keeper,
        holds: Holds,
        identities: Identities,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._ledger = ledger
        self._database = database
        self._person_keys = person_keys
        self._erasures = erasures
        self._cleaning = cleaning
        self._clock = clock
        self._keeper = keeper
        self._holds = holds
        self._identities = identities
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def erase_member(
        self, actor: Actor, member_id: str, wish: MemberErasure
    ) -> ErasureReport:
        """
        Erase a person: this member, and those with the same external id in the other groups that the actor sees.

        Raises:
            NotFoundError: No such member.
            InvalidFieldError: The reason names the person, or is none.
            ConflictError: Something of them must be kept.
        """
        persons = same_person(self._directory, actor, self._directory.member(member_id, actor))
        if any(self._directory.hides_names(one.group_id) for one in persons):
            # What is answered, a refusal too, tells who is behind a pseudonym: that leaves its rows first (P11).
            await self._identities.open_all(actor, persons, wish.reason)
        reason = _reason(wish.reason, [self._directory.person(one.id) for one in persons])
        await self._refuse_if_held(persons)
        if wish.dry_run:
            return await self._told(persons)
        return await self._erase(actor, persons, reason)

    async def erase_group(self, actor: Actor, group: str, wish: GroupErasure) -> ErasureReport:
        """
        Erase members of an archived group, some at a time, and what would let them be known again.

        Raises:
            NotFoundError: No such group.
            InvalidFieldError: The reason is none; or the group's name is not repeated.
            ConflictError: The group is not archived, or something must be kept.
        """
        found = self._directory.group(group, actor)
        everybody = await self._not_ended(found)
        reason = _reason(wish.reason, ())
        await self._refuse_if_held(everybody)
        if wish.dry_run:
            return await self._told(everybody)
        _reason(wish.reason, [self._directory.person(one.id) for one in everybody])
        if wish.confirm != found.name:
            raise InvalidFieldError("confirm", f"repeat the group's name, {found.name}")
        if found.state != "archived":
            raise ConflictError(
                "The group is not archived: archive it first, so that nobody is in the middle of something."
            )
        some = everybody[:MEMBERS_PER_CALL]
        left = len(everybody) - len(some)
        # Reasons and searches in the whole group are closed with a key of its own, and may name people.
        own = await asyncio.to_thread(self._person_keys.alive, [] if left else [found.id])
        return await self._erase(actor, some, reason, ended=[*own], left=left)

    async def close(self) -> None:
        """Whatever is not finished is by the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _erase(
        self,
        actor: Actor,
        persons: Sequence[Member],
        reason: str,
        *,
        ended: Sequence[str] | None = None,
        left: int = 0,
    ) -> ErasureReport:
        """
        Do it.

        Args:
            ended: Their group ends, so that no trace of them stays; its id, where its own key is destroyed with theirs.
        """
        async with self._one_at_a_time:
            now_us = self._clock.now_us()
            has_ended = ended is not None
            erasures = [Erasure(one.id, now_us, has_ended, False) for one in persons]
            ids = [*(one.id for one in persons), *(ended or ())]
            await asyncio.to_thread(self._erasures.begin, ids, now_us, has_ended=has_ended)

            def work(edit: Edit, batch: Sequence[Erasure]) -> Found:
                total = Found()
                for one in batch:
                    found, touched = strip(
                        edit.transaction, edit.workspace_id, one, self._person_keys
                    )
                    edit.audit(
                        "member.erase",
                        one.member_id,
                        None,
                        {"reason": reason, "keys": found.keys, "requests": found.requests},
                    )
                    for id_ in touched:
                        edit.touch(id_)
                    total += found
                return total

            bodies = await self._bodies(ids)
            total = Found()
            async for found in by_batches(self._changes, actor, erasures, work):
                total += found
            running = await self._running(ids)
            if not await self._clean(ids) or running:
                spawn(self._finish_later(ids), name="finish an erasure", tasks=self._tasks)
        return self._report(persons, total, bodies=bodies, running=running, left=left)

    async def _clean(self, ids: Sequence[str]) -> bool:
        """Take out what rows keep beside the names; False: it is not finished."""
        if not await self._cleaning.clean(ids):
            return False
        if await self._running(ids, patience_s=0):
            return False
        await asyncio.to_thread(self._erasures.done, ids)
        return True

    async def _finish_later(self, ids: Sequence[str]) -> None:
        """Once the calls that still run have ended, and nobody reads any more."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            try:
                if not await self._running(ids, patience_s=0) and await self._clean(ids):
                    return
            except (TuckshopError, SQLAlchemyError, OSError) as error:
                _log.warning("an erasure is finished later: %s", type(error).__name__)

    async def _running(self, ids: Sequence[str], *, patience_s: float = CALLS_END_WITHIN_S) -> int:
        """How many calls of these members run, after a while at most."""
        workspace_id = self._directory.workspace.id

        def read() -> int:
            with self._database.reader() as connection:
                return open_calls(connection, workspace_id, list(ids))

        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + patience_s
        while True:
            await self._ledger.flush()
            count = await asyncio.to_thread(read)
            if not count or loop.time() >= give_up_s:
                return count
            await asyncio.sleep(0.1)

    async def _refuse_if_held(self, persons: Sequence[Member]) -> None:
        held = await self._holds.in_force()
        if any(held.cover(group_id=one.group_id, member_id=one.id) for one in persons):
            raise ConflictError(
                "There is a legal hold on what is kept of them: nothing is erased while it lasts."
            )

    async def _told(self, persons: Sequence[Member]) -> ErasureReport:
        """What there is to erase."""
        workspace_id = self._directory.workspace.id
        ids = [one.id for one in persons]

        def read() -> Found:
            with self._database.reader() as connection:
                total = Found()
                for id_ in ids:
                    total += look(connection, workspace_id, id_)
                return total

        await self._ledger.flush()
        return self._report(
            persons,
            await asyncio.to_thread(read),
            dry_run=True,
            bodies=await self._bodies(ids),
            running=await self._running(ids, patience_s=0),
        )

    async def _bodies(self, ids: Sequence[str]) -> int:
        """How many calls there are of which prompt and answer are kept."""
        await self._keeper.flush()

        def read() -> int:
            with reading(self._keeper.path) as bodies:
                if bodies is None:
                    return 0
                return bodies.count_of(self._directory.workspace.id, ids)

        return await asyncio.to_thread(read)

    def _report(
        self,
        persons: Sequence[Member],
        found: Found,
        *,
        bodies: int,
        running: int,
        dry_run: bool = False,
        left: int = 0,
    ) -> ErasureReport:
        ledger = self._database.path
        return ErasureReport(
            dry_run=dry_run,
            data=[ErasedMember(member=one.id, group=one.group_id) for one in persons],
            keys=found.keys,
            claims=found.claims,
            mails=found.mails,
            flags=found.flags,
            requests=found.requests,
            bodies=bodies,
            running=running,
            left=left,
            copies=sorted(path.name for path in ledger.parent.glob(f"{ledger.name}.before-*")),
        )

    async def _not_ended(self, group: Group) -> list[Member]:
        """Members of whom there is something left, or a trace by which they would be known again."""

        def read() -> set[str]:
            with self._database.reader() as connection:
                return ended_members(connection, self._directory.workspace.id, group.id)

        ended = await asyncio.to_thread(read)
        everybody = self._directory.known_members(self._directory.member_ids(group.id))
        return [one for one in everybody if one.id not in ended]


def _reason(value: str, persons: Sequence[Person]) -> str:
    """
    Why, in words that may stay when the person is gone.

    Raises:
        InvalidFieldError: It is empty or no line, or names them.
    """
    reason = reason_of(value)
    said = reason.casefold()
    for one in persons:
        for name in (one.external_id, one.name, one.email):
            if name and len(name) >= _SHORTEST_NAME and name.casefold() in said:
                raise InvalidFieldError(
                    "reason", "names the person, and it stays: say why without it"
                )
    return reason
