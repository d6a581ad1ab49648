"""Who is mailed of notices."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.shapes.notify import NotifyOrder


async def show_of_group(call: Call) -> object:
    return await call.services.notify.of_group(call.actor, call.path["group"])


async def set_of_group(call: Call) -> object:
    return await call.services.notify.set_of_group(
        call.actor, call.path["group"], call.body_as(NotifyOrder)
    )


async def show_of_all(call: Call) -> object:
    return await call.services.notify.of_all()


async def set_of_all(call: Call) -> object:
    return await call.services.notify.set_of_all(call.actor, call.body_as(NotifyOrder))
