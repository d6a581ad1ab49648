"""
The outbox: notices that were posted become deliveries and mails, in one transaction that marks them as passed on.

While nobody is to be told of anything, nothing is looked at, and what was posted meanwhile is nobody's news later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, select, update

from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.webhooks import Webhook
from tuckshop.services.directory import Directory
from tuckshop.services.notices.deliveries import Deliveries
from tuckshop.services.notices.mailing import NoticeMails
from tuckshop.services.notices.payload import payload_of
from tuckshop.services.notices.subscriptions import Subscriptions
from tuckshop.storage.database import Database
from tuckshop.storage.schema import notices
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

BATCH: Final = 100  # notices in one transaction, so that calls never wait long for them
DAY_US: Final = 86_400 * US_PER_SECOND
KEPT_US: Final = 90 * DAY_US
ONCE_KEPT_US: Final = 400 * DAY_US  # longer than the longest window that one is told of once


class _Plan(NamedTuple):
    """Who is told of a notice."""

    webhooks: list[Webhook]
    addresses: list[str]
    member_address: str | None


class PassingOn:
    """Passes notices on. Used on the loop alone."""

    def __init__(
        self,
        workspace_id: str,
        subscriptions: Subscriptions,
        deliveries: Deliveries,
        mails: NoticeMails,
        directory: Directory,
        writer: Writer,
        database: Database,
    ) -> None:
        self._workspace_id = workspace_id
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self._mails = mails
        self._directory = directory
        self._writer = writer
        self._database = database

    async def step(self) -> int:
        """Pass on what was posted, at most `BATCH` of it; how many notices it were."""
        rows = await asyncio.to_thread(self._waiting)
        if not rows:
            return 0
        plans = [self._plan(row) for row in rows]

        def work(transaction: Transaction) -> None:
            for number, (row, plan) in enumerate(zip(rows, plans, strict=True)):
                for address in plan.addresses:
                    self._mails.put_in(transaction, row, address)
                if plan.member_address is not None:
                    self._mails.put_in_for_member(transaction, row, plan.member_address)
                for webhook in plan.webhooks:
                    self._deliveries.put_in(
                        transaction,
                        webhook,
                        notice_id=row["id"],
                        kind=row["kind"],
                        body=payload_of(row),
                        number=number,
                    )
            transaction.connection.execute(
                update(notices)
                .where(
                    notices.c.workspace_id == self._workspace_id,
                    notices.c.id.in_([row["id"] for row in rows]),
                )
                .values(passed_on_at=transaction.now_us)
            )

        await self._writer.transact(work)
        return len(rows)

    async def forget_old(self) -> None:
        """Forget what was posted long ago, and the mails that told of it."""

        def work(transaction: Transaction) -> None:
            self._mails.forget_old(transaction)
            now_us = transaction.now_us
            for is_kind, kept_us in (
                (notices.c.once.is_(None), KEPT_US),
                (notices.c.once.is_not(None), ONCE_KEPT_US),
            ):
                transaction.connection.execute(
                    delete(notices).where(
                        notices.c.workspace_id == self._workspace_id,
                        is_kind,
                        notices.c.at < now_us - kept_us,
                    )
                )

        await self._writer.transact(work)

    def _plan(self, row: Mapping[str, Any]) -> _Plan:
        kind, group_id, at_us = row["kind"], row["group_id"], row["at"]
        address = None
        if kind == "member_budget" and self._subscriptions.tells_members(group_id, at_us):
            members = self._directory.known_members([row["member_id"]])
            address = self._directory.person(members[0].id).email if members else None
        return _Plan(
            self._subscriptions.told_of(kind, group_id, at_us),
            self._subscriptions.mailed_of(kind, group_id, at_us),
            address,
        )

    def _waiting(self) -> list[Mapping[str, Any]]:
        query = (
            select(notices)
            .where(notices.c.workspace_id == self._workspace_id, notices.c.passed_on_at.is_(None))
            .order_by(notices.c.id)
            .limit(BATCH)
        )
        with self._database.reader() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]
