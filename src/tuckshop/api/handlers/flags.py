"""Flags: read, also as a file, and resolve."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.api.tables import table
from tuckshop.services.flags import FlagFilter
from tuckshop.services.shapes.flags import FlagShape, Resolution


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
