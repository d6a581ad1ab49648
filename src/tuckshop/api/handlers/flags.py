"""Flags: read, also as a file, and resolve."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.api.tables import table
from tuckshop.services.fields import rfc3339
from tuckshop.services.flags import FlagFilter
from tuckshop.services.shapes.claims import ClaimLinkShape
from tuckshop.services.shapes.flags import (
    Appeal,
    AppealLink,
    FlagShape,
    LinkedAppeal,
    Resolution,
)


async def list_flags(call: Call) -> object:
    chosen = call.query_as(FlagFilter)
    if call.table_type is not None:
        rows = call.services.flags.all(call.actor, chosen)
        return await table("flags", FlagShape.__struct_fields__, rows, call.table_type)
    return await call.services.flags.page(call.actor, chosen)


async def show_flag(call: Call) -> object:
    return await call.services.flags.get(call.actor, call.path["flag"])


async def resolve_flag(call: Call) -> object:
    return await call.services.flags.resolve(
        call.actor, call.path["flag"], call.body_as(Resolution)
    )


async def appeal_flag(call: Call) -> object:
    return await call.services.appeals.add(call.actor, call.path["flag"], call.body_as(Appeal))


async def make_appeal_link(call: Call) -> object:
    link = await call.services.appeals.new_link(call.actor, call.path["member"])
    return ClaimLinkShape(url=link.url, expires_at=rfc3339(link.expires_at_us))


async def look_at_own(call: Call) -> object:
    return await call.services.appeals.look(call.body_as(AppealLink).secret)


async def send_appeal(call: Call) -> object:
    return await call.services.appeals.send(call.body_as(LinkedAppeal))
