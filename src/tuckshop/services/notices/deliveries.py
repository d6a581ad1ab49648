"""
Notices on their way to webhooks: one row each, from the transaction that passes the notice on.

waiting → sent, or dead when it was tried for days. A delivery is marked only after it was tried, so a crash in between
sends it again, with the same id: at least once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection, delete, func, insert, select, update

from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.ids import new_id
from tuckshop.domain.notices import Notice, NoticeKind
from tuckshop.domain.webhooks import Webhook
from tuckshop.storage.database import Database
from tuckshop.storage.notices import post
from tuckshop.storage.schema import deliveries, webhooks
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer
from tuckshop.upstreams.posting import Posted

T = TypeVar("T")

# After so many seconds a delivery is tried again; the last one again and again.
WAITS_S: Final = (5, 30, 120, 600, 1_800, 7_200, 21_600, 43_200, 86_400)
# And so long its webhook is left alone, with all that waits for it: soon enough to see that it is back.
RESTS_S: Final = WAITS_S[:4]
DAY_US: Final = 86_400 * US_PER_SECOND
DEAD_AFTER_US: Final = 3 * DAY_US
PAUSED_AFTER_US: Final = 5 * DAY_US  # without a single delivery that arrived
KEPT_US: Final = 30 * DAY_US  # how long one is remembered that does not wait
WAITING_MAX: Final = 10_000  # of one webhook; beyond it they are given up at once


class Taken(NamedTuple):
    """A delivery that is due."""

    id: str
    notice_id: str
    body: bytes
    attempts: int  # before this one


class Deliveries:
    """The rows."""

    def __init__(self, workspace_id: str, writer: Writer, database: Database) -> None:
        self._workspace_id = workspace_id
        self._writer = writer
        self._database = database

    # ── for whoever passes notices on ─────────────────────────────────────────────────────────────────────────

    def put_in(
        self,
        transaction: Transaction,
        webhook: Webhook,
        *,
        notice_id: str,
        kind: NoticeKind,
        body: str,
        number: int,
    ) -> None:
        """Queue a delivery, the one of this number in its transaction: they are sent in their order."""
        now_us = transaction.now_us
        waits = self._count(transaction.connection, webhook.id, "waiting") < WAITING_MAX
        transaction.connection.execute(
            insert(deliveries).values(
                workspace_id=self._workspace_id,
                id=new_id("dlv", now_us + number),
                webhook_id=webhook.id,
                notice_id=notice_id,
                kind=kind,
                body=body,
                state="waiting" if waits else "dead",
                queued_at=now_us,
                due_at=now_us,
                told=None if waits else f"{WAITING_MAX:,} others wait already",
            )
        )

    # ── for the sender ────────────────────────────────────────────────────────────────────────────────────────

    async def due(self) -> dict[str, int]:
        """By webhook, when the first of its deliveries is due; those that do not wait for any are not in it."""
        query = (
            select(deliveries.c.webhook_id, func.min(deliveries.c.due_at))
            .where(deliveries.c.workspace_id == self._workspace_id, deliveries.c.state == "waiting")
            .group_by(deliveries.c.webhook_id)
        )
        return await self.read(
            lambda connection: {row[0]: int(row[1]) for row in connection.execute(query)}
        )

    async def first(self, webhook_id: str, now_us: int) -> Taken | None:
        """The delivery of a webhook that is due first; None: none is due by now."""
        query = (
            select(deliveries)
            .where(
                *self._of(webhook_id),
                deliveries.c.state == "waiting",
                deliveries.c.due_at <= now_us,
            )
            # Of several the one that was tried least: one that is never taken holds up no other.
            .order_by(deliveries.c.attempts, deliveries.c.due_at, deliveries.c.id)
            .limit(1)
        )

        def read(connection: Connection) -> Taken | None:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            return Taken(row["id"], row["notice_id"], row["body"].encode(), row["attempts"])

        return await self.read(read)

    async def end(self, webhook: Webhook, taken: Taken, posted: Posted) -> bool:
        """
        Write down what came of an attempt.

        Returns:
            Whether the webhook is paused from now on, since nothing has arrived there for days.
        """

        def work(transaction: Transaction) -> bool:
            now_us = transaction.now_us
            values: dict[str, object] = {
                "attempts": taken.attempts + 1,
                "tried_at": now_us,
                "status": posted.status,
            }
            if posted.is_taken:
                self._write(transaction, taken.id, state="sent", told=None, **values)
                self._stands(transaction, webhook.id, failing_since=None, failures=0, told=None)
                return False
            wait_us = WAITS_S[min(taken.attempts, len(WAITS_S) - 1)] * US_PER_SECOND
            self._write(transaction, taken.id, due_at=now_us + wait_us, told=posted.told, **values)
            self._give_up(transaction)
            return self._fails(transaction, webhook.id, posted.told)

        return await self._writer.transact(work)

    async def forget_old(self) -> None:
        """Give up what has waited for days, and forget what does not wait and was queued long ago."""

        def work(transaction: Transaction) -> None:
            self._give_up(transaction)
            transaction.connection.execute(
                delete(deliveries).where(
                    deliveries.c.workspace_id == self._workspace_id,
                    deliveries.c.state != "waiting",
                    deliveries.c.queued_at < transaction.now_us - KEPT_US,
                )
            )

        await self._writer.transact(work)

    # ── for staff ─────────────────────────────────────────────────────────────────────────────────────────────

    def release(self, connection: Connection, webhook_id: str, now_us: int) -> None:
        """A webhook is active again: try at once what waits."""
        connection.execute(
            update(deliveries)
            .where(*self._of(webhook_id), deliveries.c.state == "waiting")
            .values(due_at=now_us)
        )

    def remove(self, connection: Connection, webhook_id: str) -> None:
        """A webhook is removed, and what was sent to it forgotten."""
        connection.execute(delete(deliveries).where(*self._of(webhook_id)))

    async def counts(self, webhook_ids: Sequence[str]) -> dict[tuple[str, str], int]:
        """How many deliveries there are, by webhook and state."""
        query = (
            select(deliveries.c.webhook_id, deliveries.c.state, func.count())
            .where(
                deliveries.c.workspace_id == self._workspace_id,
                deliveries.c.webhook_id.in_(webhook_ids),
                deliveries.c.state != "sent",
            )
            .group_by(deliveries.c.webhook_id, deliveries.c.state)
        )
        return await self.read(
            lambda connection: {(row[0], row[1]): int(row[2]) for row in connection.execute(query)}
        )

    async def page(
        self, webhook_id: str, *, state: str | None, before: str | None, limit: int
    ) -> list[Mapping[str, Any]]:
        """Deliveries of a webhook, newest first."""
        query = select(deliveries).where(*self._of(webhook_id))
        if state is not None:
            query = query.where(deliveries.c.state == state)
        if before is not None:
            query = query.where(deliveries.c.id < before)
        query = query.order_by(deliveries.c.id.desc()).limit(limit)
        return await self.read(
            lambda connection: [dict(row) for row in connection.execute(query).mappings()]
        )

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run *work* on a reader, off the loop."""

        def read() -> T:
            with self._database.reader() as connection:
                return work(connection)

        return await asyncio.to_thread(read)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────

    def _of(self, webhook_id: str) -> tuple[Any, Any]:
        return (
            deliveries.c.workspace_id == self._workspace_id,
            deliveries.c.webhook_id == webhook_id,
        )

    def _count(self, connection: Connection, webhook_id: str, state: str) -> int:
        query = select(func.count()).where(*self._of(webhook_id), deliveries.c.state == state)
        return int(connection.execute(query).scalar_one())

    def _give_up(self, transaction: Transaction) -> None:
        transaction.connection.execute(
            update(deliveries)
            .where(
                deliveries.c.workspace_id == self._workspace_id,
                deliveries.c.state == "waiting",
                deliveries.c.queued_at <= transaction.now_us - DEAD_AFTER_US,
            )
            .values(state="dead")
        )

    def _write(self, transaction: Transaction, delivery_id: str, **values: object) -> None:
        transaction.connection.execute(
            update(deliveries)
            .where(deliveries.c.workspace_id == self._workspace_id, deliveries.c.id == delivery_id)
            .values(values)
        )

    def _stands(self, transaction: Transaction, webhook_id: str, **values: object) -> None:
        transaction.connection.execute(
            update(webhooks)
            .where(webhooks.c.workspace_id == self._workspace_id, webhooks.c.id == webhook_id)
            .values(values)
        )

    def _fails(self, transaction: Transaction, webhook_id: str, told: str) -> bool:
        now_us = transaction.now_us
        query = select(webhooks.c.failing_since, webhooks.c.failures).where(
            webhooks.c.workspace_id == self._workspace_id, webhooks.c.id == webhook_id
        )
        row = transaction.connection.execute(query).one_or_none()
        if row is None:  # it was removed meanwhile
            return False
        rest_s = RESTS_S[min(row.failures, len(RESTS_S) - 1)]
        again_us = now_us + rest_s * US_PER_SECOND
        transaction.connection.execute(
            update(deliveries)
            .where(
                *self._of(webhook_id),
                deliveries.c.state == "waiting",
                deliveries.c.due_at < again_us,
            )
            .values(due_at=again_us)
        )
        since_us = now_us if row.failing_since is None else row.failing_since
        is_paused = now_us - since_us >= PAUSED_AFTER_US
        values: dict[str, object] = {"failing_since": since_us, "failures": row.failures + 1}
        if is_paused:
            values["state"] = "paused"
            post(
                transaction,
                Notice(
                    kind="webhook_paused",
                    workspace_id=self._workspace_id,
                    facts={"webhook": webhook_id, "days": (now_us - since_us) // DAY_US},
                ),
            )
        self._stands(transaction, webhook_id, told=told, **values)
        return is_paused
