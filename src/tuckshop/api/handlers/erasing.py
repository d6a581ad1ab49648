"""Forgetting people."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.shapes.erasing import GroupErasure, MemberErasure


async def erase_member(call: Call) -> object:
    return await call.services.erasing.erase_member(
        call.actor, call.path["member"], call.body_as(MemberErasure)
    )


async def erase_group(call: Call) -> object:
    return await call.services.erasing.erase_group(
        call.actor, call.path["group"], call.body_as(GroupErasure)
    )
