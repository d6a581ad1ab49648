"""Webhooks."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import webhooks
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.webhooks import (
    DeliveryPage,
    NewWebhook,
    WebhookChange,
    WebhookPage,
    WebhookShape,
    WebhookTest,
)

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "owner",
        "rows",
        "POST",
        "/webhooks",
        webhooks.add_webhook,
        WebhookShape,
        "Add a webhook, its secret shown once",
        request=NewWebhook,
        status=201,
        makes=True,
    ),
    row(
        "owner",
        "rows",
        "GET",
        "/webhooks",
        webhooks.list_webhooks,
        WebhookPage,
        "List webhooks",
        query=webhooks.WebhookQuery,
    ),
    row(
        "owner",
        "group",
        "GET",
        "/webhooks/{webhook}",
        webhooks.show_webhook,
        WebhookShape,
        "Show a webhook",
    ),
    row(
        "owner",
        "group",
        "PATCH",
        "/webhooks/{webhook}",
        webhooks.change_webhook,
        WebhookShape,
        "Change a webhook, or give it a new secret",
        request=WebhookChange,
    ),
    row(
        "owner",
        "group",
        "DELETE",
        "/webhooks/{webhook}",
        webhooks.remove_webhook,
        WebhookShape,
        "Remove a webhook, with what is on its way to it",
    ),
    row(
        "owner",
        "group",
        "POST",
        "/webhooks/{webhook}/test",
        webhooks.test_webhook,
        WebhookTest,
        "Send a webhook a test at once",
    ),
    row(
        "owner",
        "group",
        "GET",
        "/webhooks/{webhook}/deliveries",
        webhooks.list_deliveries,
        DeliveryPage,
        "List what was sent to a webhook, or waits, or was given up",
        query=webhooks.DeliveryQuery,
    ),
)
