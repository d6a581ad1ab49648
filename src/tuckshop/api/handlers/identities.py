"""Who is behind a pseudonym, for a reason."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.shapes.identities import IdentitySearch, WithReason


async def open_identity(call: Call) -> object:
    return await call.services.identities.open(
        call.actor, call.path["member"], call.body_as(WithReason).reason
    )


async def find_identity(call: Call) -> object:
    asked = call.body_as(IdentitySearch)
    return await call.services.identities.find(call.actor, asked.external_id, asked.reason)


async def unmask_group(call: Call) -> object:
    return await call.services.identities.unmask_group(
        call.actor, call.path["group"], call.body_as(WithReason).reason
    )


async def unmask_workspace(call: Call) -> object:
    return await call.services.identities.unmask_workspace(
        call.actor, call.body_as(WithReason).reason
    )
