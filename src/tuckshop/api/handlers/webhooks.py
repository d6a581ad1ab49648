"""Webhooks."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.domain.webhooks import DeliveryState
from tuckshop.services.paging import PAGE_DEFAULT, PageSize
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.webhooks import NewWebhook, WebhookChange


class WebhookQuery(Sent, frozen=True, kw_only=True):
    """Which part of the list of webhooks."""

    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


class DeliveryQuery(Sent, frozen=True, kw_only=True):
    """Which deliveries are listed."""

    state: DeliveryState | None = None
    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


async def add_webhook(call: Call) -> object:
    return await call.services.webhooks.add(call.actor, call.body_as(NewWebhook), claim=call.claim)


async def list_webhooks(call: Call) -> object:
    query = call.query_as(WebhookQuery)
    return await call.services.webhooks.page(call.actor, cursor=query.cursor, limit=query.limit)


async def show_webhook(call: Call) -> object:
    return await call.services.webhooks.get(call.actor, call.path["webhook"])


async def change_webhook(call: Call) -> object:
    return await call.services.webhooks.change(
        call.actor, call.path["webhook"], call.body_as(WebhookChange), expected=call.expected
    )


async def remove_webhook(call: Call) -> object:
    return await call.services.webhooks.remove(
        call.actor, call.path["webhook"], expected=call.expected
    )


async def test_webhook(call: Call) -> object:
    return await call.services.webhooks.test(call.actor, call.path["webhook"])


async def list_deliveries(call: Call) -> object:
    query = call.query_as(DeliveryQuery)
    return await call.services.webhooks.deliveries(
        call.actor, call.path["webhook"], state=query.state, cursor=query.cursor, limit=query.limit
    )
