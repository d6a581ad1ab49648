"""The step of a call in which it is checked, between the hold that it took and its dispatch."""

from __future__ import annotations

from tuckshop.domain.reservation import Flag
from tuckshop.gateway.admission import Admission
from tuckshop.gateway.call import Call
from tuckshop.gateway.dispatch import Dispatcher
from tuckshop.gateway.identify import Arrival
from tuckshop.gateway.moderation.moderator import Moderator
from tuckshop.upstreams.registry import Upstream


async def moderated(
    moderator: Moderator,
    admission: Admission,
    dispatcher: Dispatcher,
    arrival: Arrival,
    call: Call,
    upstream: Upstream,
    body: bytes,
) -> frozenset[Flag]:
    """
    What is to be noted of a call whose *body* may be sent.

    Raises:
        RefusalError: It may not, or its holder may not call any more. The hold is given back.
    """
    with dispatcher.undoing(call):
        marks = await moderator.check(call, upstream, body)
        # Meanwhile the key may have been revoked, and nothing that runs was there to be cut off (K3).
        admission.identify_again(arrival)
        return marks
