"""Calls with a large body: whatever takes time in proportion to it is done in a thread (section 8)."""

from __future__ import annotations

import asyncio
from typing import Final

from tuckshop.domain.errors import RefusalError
from tuckshop.edge.exchange import Exchange
from tuckshop.gateway.admission import Admission
from tuckshop.gateway.dispatch import Dispatcher
from tuckshop.gateway.identify import Arrival

OFF_LOOP_BYTES: Final = 256 << 10  # from here on


async def serve_large(
    admission: Admission,
    dispatcher: Dispatcher,
    arrival: Arrival,
    exchange: Exchange,
    began_s: float,
) -> None:
    """Understand, admit and dispatch it; raises the refusal."""
    policy = admission.policy_for(arrival)
    tree, facts = await asyncio.to_thread(admission.read, arrival.endpoint, policy, exchange.body)
    call, granted = await admission.admit(arrival, tree, facts)
    try:
        body = await asyncio.to_thread(dispatcher.written, call, granted)
        # Meanwhile the key may have been revoked, and nothing that runs was there to be cut off (K3).
        admission.identify_again(arrival)
    except asyncio.CancelledError:
        dispatcher.give_back(call, "client_left")
        raise
    except RefusalError as refusal:
        dispatcher.give_back(call, refusal.code)
        raise
    except BaseException:
        dispatcher.give_back(call, "server_fault")
        raise
    if exchange.client_left:
        dispatcher.give_back(call, "client_left")
    else:
        sent = exchange.body if body is None else body
        dispatcher.dispatch(call, granted, sent, exchange, began_s)
