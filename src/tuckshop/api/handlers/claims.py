"""Keys and claim links as they are handed out, and links as they are opened."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.api.tables import in_one, table
from tuckshop.services.fields import rfc3339
from tuckshop.services.shapes.claims import (
    Claim,
    ClaimLinkShape,
    HandedOutRow,
    HandOut,
    LinksFor,
)
from tuckshop.services.shapes.parts import Sent


class LinkQuery(Sent, frozen=True, kw_only=True):
    """Whether members who have an active key get a link too."""

    all: bool = False


async def hand_out_keys(call: Call) -> object:
    return await call.services.handing_out.keys(
        call.actor, call.path["group"], call.body_as(HandOut), claim=call.claim
    )


async def make_group_links(call: Call) -> object:
    made = await call.services.handing_out.links(
        call.actor,
        call.path["group"],
        to_all=call.query_as(LinkQuery).all,
        member_ids=call.body_as(LinksFor).members,
        reason=call.body_as(LinksFor).reason,
    )
    if call.table_type is not None:
        columns = HandedOutRow.__struct_fields__
        return await table("links", columns, in_one(made.data), call.table_type)
    return made


async def make_link(call: Call) -> object:
    link = await call.services.claims.new_link(call.actor, call.path["member"])
    return ClaimLinkShape(url=link.url, expires_at=rfc3339(link.expires_at_us))


async def open_claim(call: Call) -> object:
    return await call.services.claims.open(call.body_as(Claim).secret)
