"""Who is to be told of what, in memory: read at the start, and again after every change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from sqlalchemy import select

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import NotFoundError
from tuckshop.domain.notices import NoticeKind
from tuckshop.domain.webhooks import Webhook
from tuckshop.storage.database import Database
from tuckshop.storage.schema import webhooks


class Subscriptions:
    """Used on the loop alone."""

    def __init__(self, database: Database, workspace_id: str) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._webhooks: dict[str, Webhook] = {}

    async def read(self) -> None:
        """Take in what was committed."""
        query = (
            select(webhooks)
            .where(webhooks.c.workspace_id == self._workspace_id)
            .order_by(webhooks.c.id)
        )

        def read() -> list[Webhook]:
            with self._database.reader() as connection:
                return [webhook_of(dict(row)) for row in connection.execute(query).mappings()]

        self._webhooks = {webhook.id: webhook for webhook in await asyncio.to_thread(read)}

    @property
    def is_empty(self) -> bool:
        """Is nobody to be told of anything?"""
        return not any(webhook.state == "active" for webhook in self._webhooks.values())

    @property
    def since_us(self) -> int:
        """Since when somebody is told of anything: what was before is nobody's news."""
        return min((webhook.created_at_us for webhook in self._webhooks.values()), default=0)

    def wants(self, kind: NoticeKind) -> bool:
        """Is anybody to be told of notices of this kind?"""
        return any(
            webhook.state == "active" and (webhook.kinds is None or kind in webhook.kinds)
            for webhook in self._webhooks.values()
        )

    def webhooks(self, actor: Actor) -> list[Webhook]:
        """Those that tell only what the actor sees, oldest first."""
        return [webhook for webhook in self._webhooks.values() if _is_seen(webhook, actor)]

    def webhook(self, webhook_id: str, actor: Actor) -> Webhook:
        """
        The webhook with this id.

        Raises:
            NotFoundError: No such webhook that tells only what the actor sees.
        """
        webhook = self._webhooks.get(webhook_id)
        if webhook is None or not _is_seen(webhook, actor):
            raise NotFoundError(f"There is no webhook {webhook_id!r}.")
        return webhook

    def told_of(self, kind: NoticeKind, group_id: str | None, at_us: int) -> list[Webhook]:
        """The webhooks that are told of a notice, which came at this time."""
        return [
            webhook
            for webhook in self._webhooks.values()
            if webhook.wants(kind, group_id) and webhook.created_at_us <= at_us
        ]


def webhook_of(row: Mapping[str, Any]) -> Webhook:
    """A row of `webhooks`."""
    return Webhook(
        id=row["id"],
        workspace_id=row["workspace_id"],
        url=row["url"],
        kinds=cast(frozenset[NoticeKind] | None, _set_of(row["kinds"])),
        group_ids=_set_of(row["group_ids"]),
        reach=row["reach"],
        sealed=row["sealed"],
        state=row["state"],
        failing_since_us=row["failing_since"],
        told=row["told"],
        created_by=row["created_by"],
        created_at_us=row["created_at"],
    )


def _set_of(column: str | None) -> frozenset[str] | None:
    return None if column is None else msgspec.json.decode(column, type=frozenset[str])


def _is_seen(webhook: Webhook, actor: Actor) -> bool:
    if webhook.group_ids is None:
        return actor.groups is None
    return all(map(actor.sees, webhook.group_ids))
