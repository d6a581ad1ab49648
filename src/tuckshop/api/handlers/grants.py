"""Grants."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.paging import PAGE_DEFAULT, PageSize
from tuckshop.services.shapes.grants import NewGrant, NewGrants
from tuckshop.services.shapes.parts import Sent


class GrantQuery(Sent, frozen=True, kw_only=True):
    """Which page of a member's grants."""

    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


async def grant_to_member(call: Call) -> object:
    return await call.services.grants.grant(
        call.actor, call.path["member"], call.body_as(NewGrant), claim=call.claim
    )


async def grant_to_group(call: Call) -> object:
    return await call.services.grants.grant_to_group(
        call.actor, call.path["group"], call.body_as(NewGrants), claim=call.claim
    )


async def list_grants(call: Call) -> object:
    query = call.query_as(GrantQuery)
    return await call.services.grants.page(
        call.actor, call.path["member"], cursor=query.cursor, limit=query.limit
    )
