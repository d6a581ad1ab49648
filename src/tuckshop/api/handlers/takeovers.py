"""Taking over from other gateways."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.takeover import Takeover


class TakeoverQuery(Sent, frozen=True, kw_only=True):
    """Whether it is only told what would happen."""

    dry_run: bool = False


async def take_over(call: Call) -> object:
    return await call.services.takeovers.take(
        call.actor, call.body_as(Takeover), dry_run=call.query_as(TakeoverQuery).dry_run
    )
