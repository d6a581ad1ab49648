"""
Looking for a text in what is kept: with a reason, and with a row that tells the text and what it found (P11, K16).

Each body has to be opened for it, so a page looks at a bounded number of them, a few at a time, with pauses in which
calls go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import InvalidFieldError, NotPermittedError, StoreError
from tuckshop.domain.records import Group
from tuckshop.keeping.body_file import Row, reading
from tuckshop.keeping.keeper import Keeper
from tuckshop.keeping.kept_body import KeptBody
from tuckshop.keeping.matching import Needle
from tuckshop.keeping.seals import Seals, open_body
from tuckshop.services.batches import PAUSE_S
from tuckshop.services.body_retention import is_still_kept
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.holds import Holds
from tuckshop.services.paging import cursor_after, mark_of
from tuckshop.services.personal import Personal
from tuckshop.services.reasons import reason_of
from tuckshop.services.request_log import time_of
from tuckshop.services.shapes.body_search import BodyHit, BodyHitPage, BodyQuery
from tuckshop.storage.holds import HoldsInForce

LOOKED_AT_MAX: Final = 2_000  # bodies for one page
BYTES_MAX: Final = 32 << 20  # and so much of them, as they lie there
SOME: Final = 20  # at once
_LAST: Final = (2**62, "")
Mark = tuple[int, str]


class BodySearch:
    """One search at a time."""

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
        self._one = asyncio.Lock()

    async def find(self, actor: Actor, asked: BodyQuery) -> BodyHitPage:
        """
        Calls in which the text stands, of groups whose bodies the actor may read, newest first.

        Raises:
            NotFoundError: No such group or member.
            NotPermittedError: The group that is named does not name the actor's role among its readers.
            InvalidFieldError: The reason, a time or the cursor.
        """
        reason = reason_of(asked.reason)
        member_id = None
        group_id = None if asked.group is None else self._directory.group(asked.group, actor).id
        if asked.member is not None:
            member = self._directory.member(asked.member, actor)
            if group_id not in (None, member.group_id):
                raise InvalidFieldError("member", "is not in that group")
            group_id, member_id = member.group_id, member.id
        elif group_id is None and actor.groups is not None and len(actor.groups) == 1:
            (group_id,) = actor.groups
        since_us, until_us = time_of("since", asked.since), time_of("until", asked.until)
        mark = _mark_in(asked.cursor) or (_LAST if until_us is None else (until_us, ""))
        whose = member_id or group_id or self._directory.workspace.id
        what = {"reason": Personal(whose, reason), "query": Personal(whose, asked.q)}
        if group_id is not None:
            logging = self._directory.group(group_id, actor).logging
            if not logging.may_read(actor):
                await self._note(actor, "body.refuse", whose, what)
                raise NotPermittedError(
                    f"Bodies of this group are read by: {', '.join(logging.readers)}."
                    f" Your token has the role {actor.role}."
                )
        async with self._one:
            await self._keeper.flush()
            held = await self._holds.in_force()
            page = await self._look(
                actor, asked, held, group_id, member_id, since_us=since_us or 0, mark=mark
            )
        found = {"hits": len(page.data), "requests": [hit.id for hit in page.data]}
        await self._note(
            actor, "body.search", whose, {**what, **found, "looked_at": page.looked_at}
        )
        return page

    async def _look(
        self,
        actor: Actor,
        asked: BodyQuery,
        held: HoldsInForce,
        group_id: str | None,
        member_id: str | None,
        *,
        since_us: int,
        mark: Mark,
    ) -> BodyHitPage:
        needle = Needle(asked.q)
        hits: list[BodyHit] = []
        looked_at = unreadable = size = 0
        is_over = False
        groups = {group.id: group for group in self._directory.groups(actor)}

        def fetch(mark: Mark) -> list[Row]:
            with reading(self._keeper.path) as bodies:
                if bodies is None:
                    return []
                return bodies.newest_first(
                    self._directory.workspace.id,
                    group_id=group_id,
                    member_id=member_id,
                    since_us=since_us,
                    before=mark,
                    limit=SOME,
                )

        while not is_over and looked_at < LOOKED_AT_MAX and size < BYTES_MAX:
            rows = await asyncio.to_thread(fetch, mark)
            is_over = len(rows) < SOME
            for body, sealed in rows:
                if len(hits) == asked.limit:
                    is_over = False
                    break
                mark = (body.at_us, body.request_id)
                if not self._may_read(actor, body, held, groups):
                    continue
                looked_at, size = looked_at + 1, size + len(sealed)
                hit = await asyncio.to_thread(self._hit, needle, body, sealed)
                if hit is None:
                    unreadable += 1
                elif hit:
                    hits += hit
            if len(hits) == asked.limit:
                break
            await asyncio.sleep(PAUSE_S)
        after = None if is_over else cursor_after(f"{mark[0]}:{mark[1]}")
        return BodyHitPage(data=hits, looked_at=looked_at, unreadable=unreadable, next_cursor=after)

    def _may_read(
        self, actor: Actor, body: KeptBody, held: HoldsInForce, groups: Mapping[str, Group]
    ) -> bool:
        if not actor.sees(body.group_id):
            return False
        is_held = held.cover(group_id=body.group_id, member_id=body.member_id)
        if is_held:
            return actor.is_at_least("operator")
        known = groups.get(body.group_id)
        return (
            known is not None
            and known.logging.may_read(actor)
            and is_still_kept(body, known.logging, self._clock.now_us())
        )

    def _hit(self, needle: Needle, body: KeptBody, sealed: bytes) -> Sequence[BodyHit] | None:
        """The hit in this body, if it is one; None: it cannot be opened."""
        try:
            found = needle.find(open_body(self._seals, body, sealed))
        except (StoreError, ValueError):
            return None
        if found is None:
            return ()
        hit = BodyHit(
            id=body.request_id,
            at=rfc3339(body.at_us),
            group=body.group_id,
            member=body.member_id,
            where=found.where,
            excerpt=found.excerpt,
        )
        return (hit,)

    async def _note(
        self, actor: Actor, action: str, object_id: str, what: Mapping[str, object]
    ) -> None:
        def work(edit: Edit) -> None:
            edit.audit(action, object_id, None, what)

        await self._changes.make(actor, work)


def _mark_in(cursor: str | None) -> Mark | None:
    mark = mark_of(cursor)
    if mark is None:
        return None
    at, _, request_id = mark.partition(":")
    if not at.isdecimal() or len(at) > 18 or not request_id:
        raise InvalidFieldError("cursor", "is not a cursor of this list")
    return int(at), request_id
