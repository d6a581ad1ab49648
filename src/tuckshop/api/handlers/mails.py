"""Mails."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.mails import MailFilter
from tuckshop.services.shapes.mails import MailOrder, MailTest, MailText


async def order_mails(call: Call) -> object:
    return await call.services.mails.order(call.actor, call.path["group"], call.body_as(MailOrder))


async def preview_mail(call: Call) -> object:
    return await call.services.mails.preview(call.actor, call.path["group"], call.body_as(MailText))


async def send_test_mail(call: Call) -> object:
    return await call.services.mails.test(call.actor, call.body_as(MailTest).to)


async def list_mails(call: Call) -> object:
    return await call.services.mails.page(call.actor, call.query_as(MailFilter))


async def retry_mail(call: Call) -> object:
    return await call.services.mails.retry(call.actor, call.path["mail"])


async def cancel_mail(call: Call) -> object:
    return await call.services.mails.cancel(call.actor, call.path["mail"])
