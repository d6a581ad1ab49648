"""
Webhooks: add, read, change, try, remove.

Their secrets go out once and are kept sealed. Another scheme, host or port gets another secret: who is told from then
on has never seen the old one, and what is signed for them convinces nobody else (K20).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET
from sqlalchemy import delete, func, insert, select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ConflictError, NotFoundError, NotPermittedError
from tuckshop.domain.ids import new_id
from tuckshop.domain.records import Reach
from tuckshop.domain.webhooks import Webhook, new_webhook_secret
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import Columns, InvalidValueError, rfc3339, same
from tuckshop.services.notices.deliveries import Deliveries
from tuckshop.services.notices.sending import WebhookSender
from tuckshop.services.notices.subscriptions import Subscriptions, webhook_of
from tuckshop.services.once import Once, once
from tuckshop.services.paging import PAGE_DEFAULT, cursor_after, mark_of
from tuckshop.services.shapes.webhooks import (
    DeliveryPage,
    DeliveryShape,
    NewWebhook,
    WebhookChange,
    WebhookPage,
    WebhookShape,
    WebhookTest,
)
from tuckshop.services.versions import Expected
from tuckshop.storage.audit import actor_text
from tuckshop.storage.rows import text_of_list
from tuckshop.storage.schema import webhooks
from tuckshop.storage.sealing import Sealer, webhook_place
from tuckshop.upstreams.addresses import AddressGuard
from tuckshop.upstreams.base_url import BaseUrl
from tuckshop.upstreams.target_url import parse_target_url

WEBHOOKS_MAX: Final = 50
_AUDITED: Final = ("kinds", "group_ids", "reach", "state")


class Webhooks:
    """What staff do with webhooks."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        subscriptions: Subscriptions,
        deliveries: Deliveries,
        sender: WebhookSender,
        *,
        sealer: Sealer,
        is_own: Callable[[BaseUrl], bool],
        clock: Clock,
    ) -> None:
        """*is_own*: whether an address is that of this very server."""
        self._changes = changes
        self._directory = directory
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self._sender = sender
        self._sealer = sealer
        self._is_own = is_own
        self._clock = clock

    async def add(
        self, actor: Actor, new: NewWebhook, *, claim: Once | None = None
    ) -> WebhookShape:
        """
        Add a webhook, its secret in the answer and nowhere else. A repeat gives the same one another secret.

        Raises:
            InvalidFieldsError: Fields that cannot be taken; a group that the actor does not see is none.
            NotPermittedError: It would tell of more than the actor sees.
            ConflictError: There are too many.
        """
        webhook_id = new_id("hok", self._clock.now_us())
        workspace_id = self._directory.workspace.id
        columns = self._columns(
            actor,
            WebhookChange(url=new.url, kinds=new.kinds, groups=new.groups, reach=new.reach),
            reach=new.reach,
        )
        secret, sealed = await self._new_secret(workspace_id, webhook_id)
        row: dict[str, object] = {
            "workspace_id": workspace_id,
            "id": webhook_id,
            "state": "active",
            "sealed": sealed,
            "created_by": actor_text(actor),
            **columns,
        }

        def make(edit: Edit) -> tuple[str, bool]:
            count = select(func.count()).where(webhooks.c.workspace_id == edit.workspace_id)
            if edit.connection.execute(count).scalar_one() >= WEBHOOKS_MAX:
                raise ConflictError(f"There are {WEBHOOKS_MAX} webhooks: remove one first.")
            row["created_at"] = edit.now_us
            edit.connection.execute(insert(webhooks).values(row))
            edit.audit("webhook.add", webhook_id, None, _audited(row))
            return webhook_id, True

        def again(made: str) -> tuple[str, bool]:
            return made, False

        def work(edit: Edit) -> tuple[str, bool]:
            return once(edit, claim, lambda: make(edit), told=lambda made: made[0], again=again)

        made_id, is_new = await self._changes.make(actor, work)
        await self._subscriptions.read()
        if not is_new:
            return await self.change(actor, made_id, WebhookChange(new_secret=True))
        return await self._shown(self._subscriptions.webhook(made_id, actor), secret)

    async def get(self, actor: Actor, webhook_id: str) -> WebhookShape:
        """
        A webhook.

        Raises:
            NotFoundError: No such webhook that tells only what the actor sees.
        """
        return await self._shown(self._subscriptions.webhook(webhook_id, actor))

    async def page(
        self, actor: Actor, *, cursor: str | None = None, limit: int = PAGE_DEFAULT
    ) -> WebhookPage:
        """
        Webhooks that tell only what the actor sees, oldest first.

        Raises:
            InvalidFieldError: The cursor.
        """
        after = mark_of(cursor) or ""
        found = [webhook for webhook in self._subscriptions.webhooks(actor) if webhook.id > after]
        return WebhookPage(
            data=await self._shapes(found[:limit]),
            next_cursor=cursor_after(found[limit - 1].id) if len(found) > limit else None,
        )

    async def change(
        self,
        actor: Actor,
        webhook_id: str,
        change: WebhookChange,
        *,
        expected: Expected | None = None,
    ) -> WebhookShape:
        """
        Change a webhook; a new secret is in the answer and nowhere else.

        Raises:
            NotFoundError: No such webhook that tells only what the actor sees.
            InvalidFieldsError: Fields that cannot be taken; then nothing is changed.
            NotPermittedError: It would tell of more than the actor sees.
            StaleVersionError: It is another version than *expected*.
        """
        known = self._subscriptions.webhook(webhook_id, actor)
        reach = known.reach if change.reach is UNSET else change.reach
        if change.url is UNSET and change.reach is not UNSET:
            change = msgspec.structs.replace(change, url=known.url)  # is it within this reach?
        columns = self._columns(actor, change, reach=reach)
        secret = None
        if change.new_secret or ("url" in columns and _moves(known.url, str(columns["url"]))):
            secret, columns["sealed"] = await self._new_secret(known.workspace_id, known.id)

        def work(edit: Edit) -> None:
            before = _row(edit, webhook_id)
            if expected is not None:
                expected.check(edit, _shape(webhook_of(before), {}), webhook_id)
            after = {name: value for name, value in columns.items() if before[name] != value}
            if not after:
                return
            if after.get("state") == "active":
                after |= {"failing_since": None, "failures": 0, "told": None}
                self._deliveries.release(edit.connection, webhook_id, edit.now_us)
            edit.connection.execute(
                update(webhooks).where(*_is(edit.workspace_id, webhook_id)).values(after)
            )
            old = {name: before[name] for name in after}
            edit.audit("webhook.change", webhook_id, _audited(old), _audited(after))

        await self._changes.make(actor, work)
        await self._subscriptions.read()
        self._sender.wake()
        return await self._shown(self._subscriptions.webhook(webhook_id, actor), secret)

    async def remove(
        self, actor: Actor, webhook_id: str, *, expected: Expected | None = None
    ) -> WebhookShape:
        """
        Remove a webhook, with what is still on its way to it.

        Raises:
            NotFoundError: No such webhook that tells only what the actor sees.
            StaleVersionError: It is another version than *expected*.
        """
        shape = await self.get(actor, webhook_id)

        def work(edit: Edit) -> None:
            before = _row(edit, webhook_id)
            if expected is not None:
                expected.check(edit, _shape(webhook_of(before), {}), webhook_id)
            self._deliveries.remove(edit.connection, webhook_id)
            edit.connection.execute(delete(webhooks).where(*_is(edit.workspace_id, webhook_id)))
            edit.audit("webhook.remove", webhook_id, _audited(before), None)

        await self._changes.make(actor, work)
        await self._subscriptions.read()
        return shape

    async def test(self, actor: Actor, webhook_id: str) -> WebhookTest:
        """
        Send a webhook a test at once, paused or not, and tell what came of it. It is not sent again.

        Raises:
            NotFoundError: No such webhook that tells only what the actor sees.
        """
        webhook = self._subscriptions.webhook(webhook_id, actor)
        now_us = self._clock.now_us()
        body = msgspec.json.encode(
            {
                "type": "test",
                "timestamp": rfc3339(now_us),
                "data": {"webhook": webhook.id},
            }
        )
        posted = await self._sender.send(webhook, new_id("ntc", now_us), body)
        where = parse_target_url(webhook.url).base.authority
        return WebhookTest(
            webhook=webhook.id,
            arrived=posted.is_taken,
            status=posted.status,
            message=f"{where} {posted.told}.",
        )

    async def deliveries(
        self,
        actor: Actor,
        webhook_id: str,
        *,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> DeliveryPage:
        """
        What was, or is to be, sent to a webhook, newest first.

        Raises:
            NotFoundError: No such webhook that tells only what the actor sees.
            InvalidFieldError: The cursor.
        """
        self._subscriptions.webhook(webhook_id, actor)
        rows = await self._deliveries.page(
            webhook_id, state=state, before=mark_of(cursor), limit=limit + 1
        )
        return DeliveryPage(
            data=[_delivery(row) for row in rows[:limit]],
            next_cursor=cursor_after(rows[limit - 1]["id"]) if len(rows) > limit else None,
        )

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────

    def _columns(self, actor: Actor, change: WebhookChange, *, reach: Reach) -> dict[str, object]:
        columns = Columns()
        columns.set("url", change.url, lambda text: self._url(text, reach))
        columns.set("kinds", change.kinds, lambda kinds: text_of_list(sorted(set(kinds))))
        columns.set(
            "groups", change.groups, lambda names: self._groups(actor, names), column="group_ids"
        )
        columns.set("reach", change.reach, same)
        columns.set("state", change.state, same)
        found = columns.check()
        if actor.groups is not None:
            if change.groups is None:
                raise NotPermittedError(
                    "groups: name those that it is to tell of. All groups together are the operator's."
                )
            if reach == "any" and not (change.url is UNSET and change.reach is UNSET):
                raise NotPermittedError(
                    "reach: addresses that are not public, or without TLS, are the operator's to name."
                )
        return found

    def _url(self, text: str, reach: Reach) -> str:
        try:
            base = parse_target_url(text).base
        except ValueError as error:
            raise InvalidValueError(f"cannot be used: {error}") from None
        if self._is_own(base):
            raise InvalidValueError("points at tuckshop's own listener")
        if reach == "public" and not base.is_tls:
            raise InvalidValueError("must begin with https://")
        # Of a name more is known only when it is dialled; then it is asked again, at every connect.
        reason = AddressGuard(reach, tuple).refusal(base.host, base.port)
        if reason is not None:
            raise InvalidValueError(f"cannot be used: {reason}")
        return text.strip()

    def _groups(self, actor: Actor, names: Sequence[str]) -> str:
        found = set()
        for place, name in enumerate(names):
            try:
                found.add(self._directory.group(name, actor).id)
            except NotFoundError as error:
                raise InvalidValueError(str(error), f"[{place}]") from None
        return text_of_list(sorted(found))

    async def _new_secret(self, workspace_id: str, webhook_id: str) -> tuple[str, bytes]:
        secret = new_webhook_secret()
        place = webhook_place(workspace_id, webhook_id)
        # In a thread: the first call loads the library.
        return secret, await asyncio.to_thread(self._sealer.seal, secret, place=place)

    async def _shown(self, webhook: Webhook, secret: str | None = None) -> WebhookShape:
        (shape,) = await self._shapes([webhook])
        return shape if secret is None else msgspec.structs.replace(shape, secret=secret)

    async def _shapes(self, found: Sequence[Webhook]) -> list[WebhookShape]:
        counts = await self._deliveries.counts([webhook.id for webhook in found])
        return [_shape(webhook, counts) for webhook in found]


def _shape(webhook: Webhook, counts: Mapping[tuple[str, str], int]) -> WebhookShape:
    since_us = webhook.failing_since_us
    return WebhookShape(
        id=webhook.id,
        url=webhook.url,
        kinds=None if webhook.kinds is None else sorted(webhook.kinds),
        groups=None if webhook.group_ids is None else sorted(webhook.group_ids),
        reach=webhook.reach,
        state=webhook.state,
        waiting=counts.get((webhook.id, "waiting"), 0),
        dead=counts.get((webhook.id, "dead"), 0),
        failing_since=None if since_us is None else rfc3339(since_us),
        told=webhook.told,
        created_by=webhook.created_by,
        created_at=rfc3339(webhook.created_at_us),
    )


def _delivery(row: Mapping[str, Any]) -> DeliveryShape:
    return DeliveryShape(
        id=row["notice_id"],
        kind=row["kind"],
        state=row["state"],
        attempts=row["attempts"],
        queued_at=rfc3339(row["queued_at"]),
        due_at=rfc3339(row["due_at"]) if row["state"] == "waiting" else None,
        tried_at=None if row["tried_at"] is None else rfc3339(row["tried_at"]),
        status=row["status"],
        told=row["told"],
    )


def _audited(columns: Mapping[str, object]) -> dict[str, object]:
    """What an audit row may show: of the address its host alone, since the rest may be a secret of the receiver's."""
    shown = {name: columns[name] for name in _AUDITED if name in columns}
    if "url" in columns:
        shown["host"] = parse_target_url(str(columns["url"])).base.authority
    if "sealed" in columns:
        shown["secret"] = True
    return shown


def _moves(before: str, after: str) -> bool:
    old, new = parse_target_url(before).base, parse_target_url(after).base
    return (old.scheme, old.host, old.port) != (new.scheme, new.host, new.port)


def _is(workspace_id: str, webhook_id: str) -> tuple[Any, Any]:
    return webhooks.c.workspace_id == workspace_id, webhooks.c.id == webhook_id


def _row(edit: Edit, webhook_id: str) -> Mapping[str, Any]:
    query = select(webhooks).where(*_is(edit.workspace_id, webhook_id))
    row = edit.connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError("The webhook was removed meanwhile.")
    return dict(row)
