"""Who is to be told of what, in memory: read at the start, and again after every change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from sqlalchemy import select

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import NotFoundError
from tuckshop.domain.notices import NoticeKind
from tuckshop.domain.webhooks import Webhook
from tuckshop.storage.database import Database
from tuckshop.storage.rows import list_of_text
from tuckshop.storage.schema import notify, webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """Who is mailed of what happens in a group, or in all of them."""

    group_id: str | None  # None: of all, and of what is of none
    mails: tuple[str, ...] = ()
    kinds: frozenset[NoticeKind] | None = None  # None: all
    members: bool = False  # are members told of their own budgets?
    since_us: int = 0

    def wants(self, kind: NoticeKind) -> bool:
        """Is anybody of them to be told of notices of this kind?"""
        is_for_staff = bool(self.mails) and (self.kinds is None or kind in self.kinds)
        return is_for_staff or (self.members and kind == "member_budget")


class Subscriptions:
    """Used on the loop alone."""

    def __init__(self, database: Database, workspace_id: str, *, can_mail: bool) -> None:
        self.can_mail = can_mail  # else nobody is told by mail, whatever the rows say
        self._database = database
        self._workspace_id = workspace_id
        self._webhooks: dict[str, Webhook] = {}
        self._notified: dict[str | None, Notified] = {}  # by group

    async def read(self) -> None:
        """Take in what was committed."""
        of_webhooks = (
            select(webhooks)
            .where(webhooks.c.workspace_id == self._workspace_id)
            .order_by(webhooks.c.id)
        )
        of_mails = select(notify).where(notify.c.workspace_id == self._workspace_id)

        def read() -> tuple[list[Webhook], list[Notified]]:
            with self._database.reader() as connection:
                return (
                    [webhook_of(dict(row)) for row in connection.execute(of_webhooks).mappings()],
                    [_notified_of(dict(row)) for row in connection.execute(of_mails).mappings()],
                )

        found, notified = await asyncio.to_thread(read)
        self._webhooks = {webhook.id: webhook for webhook in found}
        self._notified = {one.group_id: one for one in notified}

    @property
    def is_empty(self) -> bool:
        """Is nobody to be told of anything?"""
        if self.can_mail and self._notified:
            return False
        return not any(webhook.state == "active" for webhook in self._webhooks.values())

    @property
    def since_us(self) -> int:
        """Since when somebody is told of anything: what was before is nobody's news."""
        since = [webhook.created_at_us for webhook in self._webhooks.values()]
        since += [one.since_us for one in self._notified.values()]
        return min(since, default=0)

    def wants(self, kind: NoticeKind) -> bool:
        """Is anybody to be told of notices of this kind?"""
        if self.can_mail and any(one.wants(kind) for one in self._notified.values()):
            return True
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

    def notified(self, group_id: str | None) -> Notified | None:
        """Who is mailed of what happens in a group; None asks for those of all groups."""
        return self._notified.get(group_id)

    def mailed_of(self, kind: NoticeKind, group_id: str | None, at_us: int) -> list[str]:
        """The addresses of staff that are mailed of a notice, which came at this time."""
        return list(
            dict.fromkeys(
                address
                for one in self._concerned(group_id, at_us)
                if one.kinds is None or kind in one.kinds
                for address in one.mails
            )
        )

    def tells_members(self, group_id: str | None, at_us: int) -> bool:
        """Are members of a group told of their own budgets?"""
        return any(one.members for one in self._concerned(group_id, at_us))

    def _concerned(self, group_id: str | None, at_us: int) -> list[Notified]:
        if not self.can_mail:
            return []
        found = (self._notified.get(of) for of in dict.fromkeys((group_id, None)))
        return [one for one in found if one is not None and one.since_us <= at_us]


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


def _notified_of(row: Mapping[str, Any]) -> Notified:
    return Notified(
        group_id=row["group_id"] or None,
        mails=list_of_text(row["mails"]),
        kinds=cast(frozenset[NoticeKind] | None, _set_of(row["kinds"])),
        members=row["members"],
        since_us=row["since"],
    )


def _set_of(column: str | None) -> frozenset[str] | None:
    return None if column is None else msgspec.json.decode(column, type=frozenset[str])


def _is_seen(webhook: Webhook, actor: Actor) -> bool:
    if webhook.group_ids is None:
        return actor.groups is None
    return all(map(actor.sees, webhook.group_ids))
