"""Whose pseudonym it is."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.shapes.who import Asked


async def find(call: Call) -> object:
    return await call.services.who.find(call.actor, call.body_as(Asked))
