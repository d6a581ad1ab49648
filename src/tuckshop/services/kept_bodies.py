"""
Reading what is kept of calls: by those whom the group names, with a reason, and never without a row of it (K16, P11).

The audit row is written before anything is shown. What a group no longer keeps is not shown either, though it may lie
there until the next look of `BodyRetention`.
"""

from __future__ import annotations

import asyncio

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import NotFoundError, NotPermittedError
from tuckshop.keeping.body_file import Row, reading
from tuckshop.keeping.keeper import Keeper
from tuckshop.keeping.kept_body import KeptBody
from tuckshop.keeping.seals import Seals
from tuckshop.services.body_retention import is_still_kept
from tuckshop.services.body_shapes import shape_of
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.holds import Holds
from tuckshop.services.personal import Personal
from tuckshop.services.reasons import reason_of
from tuckshop.services.request_log import RequestLog
from tuckshop.services.shapes.kept_bodies import BodyRequest, KeptBodyShape


class KeptBodies:
    """Opens bodies for staff."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        request_log: RequestLog,
        keeper: Keeper,
        seals: Seals,
        holds: Holds,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._request_log = request_log
        self._keeper = keeper
        self._seals = seals
        self._holds = holds
        self._clock = clock

    async def read(self, actor: Actor, request_id: str, asked: BodyRequest) -> KeptBodyShape:
        """
        What was asked and answered in a call.

        Raises:
            NotFoundError: No such request, or nothing is kept of it.
            NotPermittedError: The group does not name the actor's role among its readers, or a legal hold stands on it.
            InvalidFieldError: The reason.
            GoneError: It opens no more: the person was erased.
            StoreError: The file cannot be read.
        """
        reason = reason_of(asked.reason)
        await self._keeper.flush()
        workspace_id = self._directory.workspace.id
        found = await asyncio.to_thread(self._find, workspace_id, request_id)
        if found is None or not actor.sees(found[0].group_id):
            await self._request_log.get(actor, request_id)  # else there is no such request
            raise _nothing_kept(request_id)
        body, sealed = found
        logging = self._directory.group(body.group_id, actor).logging
        held = (await self._holds.in_force()).cover(
            group_id=body.group_id, member_id=body.member_id
        )
        if held and not actor.is_at_least("operator"):
            await self._note(actor, "body.refuse", body, reason)
            raise NotPermittedError("A legal hold stands on it: the operator alone may read it.")
        if not held and not is_still_kept(body, logging, self._clock.now_us()):
            raise _nothing_kept(request_id)
        if not logging.may_read(actor):
            await self._note(actor, "body.refuse", body, reason)
            raise NotPermittedError(
                f"Bodies of this group are read by: {', '.join(logging.readers)}."
                f" Your token has the role {actor.role}."
            )
        await self._note(actor, "body.read", body, reason)
        return await asyncio.to_thread(shape_of, self._seals, body, sealed)

    def _find(self, workspace_id: str, request_id: str) -> Row | None:
        with reading(self._keeper.path) as bodies:
            return None if bodies is None else bodies.find(workspace_id, request_id)

    async def _note(self, actor: Actor, action: str, body: KeptBody, reason: str) -> None:
        """The row of it, in which the reason is closed with the key of the person it is about (P8)."""

        def work(edit: Edit) -> None:
            after = {"request": body.request_id, "reason": Personal(body.member_id, reason)}
            edit.audit(action, body.member_id, None, after)

        await self._changes.make(actor, work)


def _nothing_kept(request_id: str) -> NotFoundError:
    return NotFoundError(
        f"Nothing is kept of request {request_id!r}: its group did not say so, its days are over, or it still runs."
    )
