"""Telling a person everything about themselves."""

from __future__ import annotations

from tuckshop.api.routing import NDJSON_TYPE, Call
from tuckshop.api.tables import table
from tuckshop.services.shapes.exporting import BodiesAsked
from tuckshop.services.shapes.kept_bodies import KeptBodyShape


async def export_member(call: Call) -> object:
    return await call.services.exporting.of_person(call.actor, call.path["member"])


async def export_bodies(call: Call) -> object:
    rows = await call.services.exporting.bodies_of(
        call.actor, call.path["member"], call.body_as(BodiesAsked)
    )
    return await table("bodies", KeptBodyShape.__struct_fields__, rows, NDJSON_TYPE)
