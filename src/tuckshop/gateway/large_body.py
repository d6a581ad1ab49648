"""
Calls whose body is large: whatever takes time in proportion to it is done in another process (section 8).

A thread would not do: the interpreter serves nobody else for most of the time that it parses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from tuckshop.domain.errors import RefusalError
from tuckshop.domain.rules.rules import Finding, Rules
from tuckshop.edge.exchange import Exchange
from tuckshop.gateway.admission import Admission
from tuckshop.gateway.call import allowed_endpoint
from tuckshop.gateway.dispatch import Dispatcher
from tuckshop.gateway.house_rules import HouseRules
from tuckshop.gateway.identify import Arrival
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.json_body import value_marks
from tuckshop.protocols.openai.body import BodyFacts
from tuckshop.protocols.openai.long_texts import LongText
from tuckshop.protocols.openai.outgoing import Rewriting
from tuckshop.protocols.openai.table import GROUPS

OFF_LOOP_BYTES: Final = 256 << 10  # text: a millisecond or two
OFF_LOOP_VALUES: Final = 8 << 10  # numbers that keep their spelling: twenty


class LargeBodies(Protocol):
    """
    Reads bodies where it holds up nobody. *asker* is whom it is done for, so that all get their turn.

    Raises ServerBusyError where that cannot be done in time.
    """

    async def understand(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        pass_unknown: bool,
        rules: Rules | None,
        asker: str,
    ) -> tuple[BodyFacts, tuple[Finding, ...]]:
        """The facts of *body* and what *rules* find in it, or the refusal that reading it comes to."""

    async def texts(
        self, endpoint: Endpoint, body: bytes, *, rules: Rules | None, asker: str
    ) -> Sequence[LongText]:
        """The texts of *body* that are worth counting exactly."""

    async def rewrite(
        self,
        endpoint: Endpoint,
        body: bytes,
        how: Rewriting,
        *,
        rules: Rules | None,
        asker: str,
    ) -> bytes:
        """The body to be sent, changed as *rules* say."""


def is_large(body: bytes) -> bool:
    """Would reading *body* hold up the loop? A few kilobytes of numbers do as much as a megabyte of text."""
    return len(body) > OFF_LOOP_BYTES or (
        len(body) > OFF_LOOP_VALUES and value_marks(body) > OFF_LOOP_VALUES
    )


async def serve_large(
    admission: Admission,
    dispatcher: Dispatcher,
    bodies: LargeBodies,
    house_rules: HouseRules,
    arrival: Arrival,
    exchange: Exchange,
    began_s: float,
) -> None:
    """Understand, admit and dispatch it; raises the refusal."""
    endpoint, body, asker = arrival.endpoint, exchange.body, arrival.holder.member.id
    policy = admission.policy_for(arrival)
    allowed_endpoint(endpoint, policy, GROUPS)
    pass_unknown = policy.unknown_parameters == "pass"
    facts, findings = await bodies.understand(
        endpoint, body, pass_unknown=pass_unknown, rules=arrival.rules, asker=asker
    )
    house_rules.take_note(arrival, findings)
    changing = None if arrival.rules is None else arrival.rules.of_rewriting()
    call, granted = await admission.admit(
        arrival, facts, partial(bodies.texts, endpoint, body, rules=changing, asker=asker)
    )
    upstream = dispatcher.upstream_of(call)
    try:
        sent = await bodies.rewrite(
            endpoint,
            body,
            dispatcher.rewriting(call, granted, upstream),
            rules=changing,
            asker=asker,
        )
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
        dispatcher.dispatch(call, granted, upstream, sent, exchange, began_s)
