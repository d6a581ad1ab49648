"""Mails, and the queue of them."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import mails
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.mails import MailFilter
from tuckshop.services.shapes.mails import (
    MailOrder,
    MailPage,
    MailPreview,
    MailReport,
    MailShape,
    MailTest,
    MailText,
)

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "assistant",
        "group",
        "POST",
        "/groups/{group}/mail",
        mails.order_mails,
        MailReport,
        "Send members of a group a link to pick their key up",
        request=MailOrder,
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/groups/{group}/mail/preview",
        mails.preview_mail,
        MailPreview,
        "Show the first of these mails, with a link that opens nothing",
        request=MailText,
    ),
    row(
        "operator",
        "server",
        "POST",
        "/mail/test",
        mails.send_test_mail,
        MailShape,
        "Send a test mail, and tell what came of it",
        request=MailTest,
    ),
    row(
        "assistant",
        "rows",
        "GET",
        "/mail",
        mails.list_mails,
        MailPage,
        "List mails, newest first, and tell how the queue stands",
        query=MailFilter,
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/mail/{mail}/retry",
        mails.retry_mail,
        MailShape,
        "Put a mail that failed, was cancelled or is unknown back into the queue",
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/mail/{mail}/cancel",
        mails.cancel_mail,
        MailShape,
        "Take a mail that waits out of the queue",
    ),
)
