"""What is kept of calls, and what of it is held."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.holds import ListedHolds
from tuckshop.services.paging import PAGE_DEFAULT, PageSize
from tuckshop.services.shapes.body_search import BodyQuery
from tuckshop.services.shapes.holds import HoldRelease, NewHold
from tuckshop.services.shapes.kept_bodies import BodyRequest
from tuckshop.services.shapes.parts import Sent


class HoldQuery(Sent, frozen=True, kw_only=True):
    """Which holds are listed; released ones only by their state."""

    state: ListedHolds = "active"
    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


async def read_body(call: Call) -> object:
    asked = call.body_as(BodyRequest)
    return await call.services.kept_bodies.read(call.actor, call.path["request"], asked)


async def search_bodies(call: Call) -> object:
    return await call.services.body_search.find(call.actor, call.body_as(BodyQuery))


async def set_hold(call: Call) -> object:
    return await call.services.holds.create(call.actor, call.body_as(NewHold), claim=call.claim)


async def list_holds(call: Call) -> object:
    query = call.query_as(HoldQuery)
    return await call.services.holds.page(
        call.actor, state=query.state, cursor=query.cursor, limit=query.limit
    )


async def release_hold(call: Call) -> object:
    asked = call.body_as(HoldRelease)
    return await call.services.holds.release(call.actor, call.path["hold"], asked)
