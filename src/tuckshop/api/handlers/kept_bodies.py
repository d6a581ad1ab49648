"""What is kept of calls."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.shapes.kept_bodies import BodyRequest


async def read_body(call: Call) -> object:
    asked = call.body_as(BodyRequest)
    return await call.services.kept_bodies.read(call.actor, call.path["request"], asked)
