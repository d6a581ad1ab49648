"""
Calls whose body is large: whatever takes time in proportion to it is done in another process (section 8).

A thread would not do: the interpreter serves nobody else for most of the time that it parses.
"""

from __future__ import annotations

from functools import partial

from tuckshop.edge.exchange import Exchange
from tuckshop.gateway.admission import Admission
from tuckshop.gateway.body_size import LargeBodies
from tuckshop.gateway.call import allowed_endpoint
from tuckshop.gateway.dispatch import Dispatcher
from tuckshop.gateway.house_rules import HouseRules
from tuckshop.gateway.identify import Arrival
from tuckshop.gateway.moderation.moderator import NO_MARKS, Moderator
from tuckshop.gateway.moderation.step import moderated
from tuckshop.protocols.openai.table import GROUPS


async def serve_large(
    admission: Admission,
    dispatcher: Dispatcher,
    bodies: LargeBodies,
    house_rules: HouseRules,
    moderator: Moderator,
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
    arrival.model = facts.model
    house_rules.take_note(arrival, findings)
    changing = None if arrival.rules is None else arrival.rules.of_rewriting()
    call, granted = await admission.admit(
        arrival, facts, partial(bodies.texts, endpoint, body, rules=changing, asker=asker)
    )
    upstream = dispatcher.upstream_of(call)
    with dispatcher.undoing(call):
        sent = await bodies.rewrite(
            endpoint,
            body,
            dispatcher.rewriting(call, granted, upstream),
            rules=changing,
            asker=asker,
        )
        # Meanwhile the key may have been revoked, and nothing that runs was there to be cut off (K3).
        admission.identify_again(arrival)
    marks = NO_MARKS
    if call.policy.moderation is not None:
        marks = await moderated(moderator, admission, dispatcher, arrival, call, upstream, sent)
    if exchange.client_left:
        dispatcher.give_back(call, "client_left")
        return
    if call.policy.moderation is None:
        dispatcher.dispatch(call, granted, upstream, sent, exchange, began_s, marks)
        return
    make = partial(moderator.relay, upstream)
    dispatcher.dispatch(call, granted, upstream, sent, exchange, began_s, marks, make)
    moderator.check_beside(call, upstream, sent)
