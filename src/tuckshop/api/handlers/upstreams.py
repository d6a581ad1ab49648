"""Upstreams."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.paging import PAGE_DEFAULT, PageSize
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.upstreams import NewUpstream, UpstreamChange


class UpstreamQuery(Sent, frozen=True, kw_only=True):
    """Which part of the list of upstreams."""

    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


async def add_upstream(call: Call) -> object:
    return await call.services.upstreams.add(
        call.actor, call.body_as(NewUpstream), claim=call.claim
    )


async def list_upstreams(call: Call) -> object:
    query = call.query_as(UpstreamQuery)
    return await call.services.upstreams.page(cursor=query.cursor, limit=query.limit)


async def show_upstream(call: Call) -> object:
    return await call.services.upstreams.get(call.path["upstream"])


async def change_upstream(call: Call) -> object:
    return await call.services.upstreams.change(
        call.actor,
        call.path["upstream"],
        call.body_as(UpstreamChange),
        expected=call.expected,
    )


async def remove_upstream(call: Call) -> object:
    return await call.services.upstreams.remove(
        call.actor, call.path["upstream"], expected=call.expected
    )


async def test_upstream(call: Call) -> object:
    return await call.services.upstreams.test(call.path["upstream"])
