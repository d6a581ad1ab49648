"""What concerns the whole server: prices, corrections of many calls, the clock."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.shapes.corrections import BulkCorrection


async def list_prices(call: Call) -> object:
    return await call.services.prices.page()


async def correct_calls(call: Call) -> object:
    return await call.services.corrections.correct_unconfirmed(
        call.actor, call.body_as(BulkCorrection)
    )


async def accept_clock(call: Call) -> object:
    return await call.services.server_clock.accept(call.actor)
