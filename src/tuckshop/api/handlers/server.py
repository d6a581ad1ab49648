"""What concerns the whole server: the policy over all groups, prices, corrections of many calls, the clock."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.shapes.corrections import BulkCorrection
from tuckshop.services.shapes.prices import PriceOverride, PricePage, PriceRefresh
from tuckshop.services.shapes.workspace import WorkspaceChange


async def show_workspace(call: Call) -> object:
    return await call.services.workspaces.get(call.actor)


async def change_workspace(call: Call) -> object:
    return await call.services.workspaces.change(
        call.actor, call.body_as(WorkspaceChange), expected=call.expected
    )


async def list_prices(call: Call) -> object:
    return await call.services.prices.page()


async def put_price(call: Call) -> object:
    said = call.body_as(PriceOverride)
    return PricePage(data=await call.services.price_overrides.put(call.actor, said))


async def refresh_prices(call: Call) -> object:
    return await call.services.price_refreshing.refresh(call.actor, call.body_as(PriceRefresh))


async def correct_calls(call: Call) -> object:
    return await call.services.corrections.correct_unconfirmed(
        call.actor, call.body_as(BulkCorrection)
    )


async def accept_clock(call: Call) -> object:
    return await call.services.server_clock.accept(call.actor)
