"""
Understand and admit: from a body to a reservation, in as many tries as it takes.

A call is understood again where the directory changed under it, and where its input has to be counted exactly because
the byte bound does not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import (
    InputTooLongError,
    ParameterNotAllowedError,
    RoughBoundError,
    ServerBusyError,
    StaleDirectoryError,
    UpstreamUnavailableError,
)
from tuckshop.domain.policy import Policy
from tuckshop.domain.reservation import Granted
from tuckshop.gateway.call import Call, allowed_endpoint, bounded, input_length
from tuckshop.gateway.counting import Texts, TokenCounter, at_best, saved_by_counting
from tuckshop.gateway.entitlements import Entitlements
from tuckshop.gateway.identify import Arrival, may_call
from tuckshop.gateway.ports import Directory, Ledger, Upstreams
from tuckshop.pricing.prices import ModelPrice
from tuckshop.protocols import json_body
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai.body import BodyFacts, BodyLimits
from tuckshop.protocols.openai.facts import read_body, understand, unknown_parameter
from tuckshop.protocols.openai.table import GROUPS

STALE_TRIES: Final = 3  # how often the directory may change under a call
AT_ONCE_S: Final = 0.1  # a call that is sent back later than this had waited

# By how much counting lowered the bound of its input (None: it was not counted) → the call.
Understand = Callable[[int | None], Call]


class Admission:
    """Lets calls in, with their hold taken."""

    def __init__(
        self,
        *,
        directory: Directory,
        ledger: Ledger,
        counter: TokenCounter,
        entitlements: Entitlements,
        upstreams: Upstreams,
        clock: Clock,
        body_limits: BodyLimits,
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._counter = counter
        self._entitlements = entitlements
        self._upstreams = upstreams
        self._clock = clock
        self._body_limits = body_limits
        self._pinned: set[str] = set()

    def policy_for(self, arrival: Arrival) -> Policy:
        """What the one who calls may do."""
        return self._entitlements.of(arrival.holder).policy

    def read(
        self, endpoint: Endpoint, policy: Policy, body: bytes
    ) -> tuple[json_body.Tree, BodyFacts]:
        """
        What *body* asks for. Takes time in proportion to it.

        Raises:
            RefusalError: It cannot be read, or asks for what may not be had.
        """
        allowed_endpoint(endpoint, policy, GROUPS)
        return read_body(
            endpoint,
            body,
            limits=self._body_limits,
            pass_unknown=policy.unknown_parameters == "pass",
        )

    def understand(self, endpoint: Endpoint, policy: Policy, tree: json_body.Tree) -> BodyFacts:
        """The facts of a body that was read, and changed since then; raises as `read`."""
        pass_unknown = policy.unknown_parameters == "pass"
        return understand(endpoint, tree, limits=self._body_limits, pass_unknown=pass_unknown)

    async def admit(self, arrival: Arrival, facts: BodyFacts, texts: Texts) -> tuple[Call, Granted]:
        """
        The call of a body with these *facts*, with its hold taken durably (M3).

        Args:
            texts: Finds the body's long texts, should they have to be counted.
        Raises:
            RefusalError: Of policy, price or the tightest limit.
        """
        return await self.reserve(arrival, partial(self._understand, arrival, facts), texts)

    async def reserve(
        self, arrival: Arrival, understand_it: Understand, texts: Texts | None = None
    ) -> tuple[Call, Granted]:
        """
        Understand and reserve; once more from *identify* on when the directory changed under it.

        Only being sent back at once counts as a try: a call that waited for held amounts was right when it began.
        Once more too, with its input counted exactly, where the byte bound does not fit.
        """
        tries = 0
        saved: int | None = None  # known once the input was counted, which it is once at most
        while tries < STALE_TRIES:
            call = understand_it(saved)
            if call.policy.max_input_tokens is not None and (over := _over(call, saved)):
                if saved is not None or call.counting is None or texts is None:
                    raise over
                saved = await self._count(call, texts)
                continue
            asked_s = self._clock.monotonic_s()
            try:
                return call, await self._ledger.reserve(call.hold())
            except RoughBoundError:
                assert texts is not None
                saved = await self._count(call, texts)
            except StaleDirectoryError:
                tries += self._clock.monotonic_s() - asked_s < AT_ONCE_S
                self.identify_again(arrival)
        raise ServerBusyError("the directory changes too quickly", retry_after_s=1)

    async def _count(self, call: Call, texts: Texts) -> int:
        """By how much an exact count lowers the bound of its input."""
        assert call.counting is not None
        asker = call.holder.member.id
        return await saved_by_counting(self._counter, call.counting, texts, asker=asker)

    def identify_again(self, arrival: Arrival) -> None:
        """
        Look again who calls.

        Raises:
            RefusalError: They may not any more.
        """
        now_us = self._clock.now_us()
        arrival.holder = may_call(self._directory.find(arrival.digest, now_us), now_us)

    def _understand(self, arrival: Arrival, facts: BodyFacts, saved: int | None) -> Call:
        endpoint, holder = arrival.endpoint, arrival.holder
        entitlement = self._entitlements.of(holder)
        policy = entitlement.policy
        # Asked again, because the policy may be another one than when the body was read.
        if holder.group.rules is not arrival.rules and holder.group.rules != arrival.rules:
            raise ServerBusyError("the rules of your group have just changed", retry_after_s=1)
        allowed_endpoint(endpoint, policy, GROUPS)
        if facts.unknown_parameters and policy.unknown_parameters != "pass":
            raise unknown_parameter(facts.unknown_parameters[0])
        course = self._entitlements.course(entitlement, endpoint, facts.model)
        price = course.price
        tokens, cap = bounded(
            facts,
            price,
            policy=policy,
            endpoint=endpoint,
            saved=saved or 0,
            is_listed=course.is_listed,
        )
        upstream = self._upstreams.get(course.upstream)
        if (
            upstream is None
            or upstream.credential is None
            or not upstream.circuit.may_let_through(self._clock.monotonic_s())
        ):
            raise UpstreamUnavailableError(retryable=False)
        if upstream.profile == "compatible" and facts.cap_wanted == 0:
            # To Ollama it is no cap at all.
            raise ParameterNotAllowedError("max_tokens", "0 means no limit to some servers: send 1")
        self._pin(price)
        return Call(
            request_id=arrival.request_id,
            endpoint=endpoint,
            holder=holder,
            policy=policy,
            tag=arrival.tag,
            network=arrival.network,
            model=price.model,
            upstream=course.upstream,
            price=price,
            limits=course.limits,
            telling=course.telling,
            terms=course.terms_for(tokens),
            pseudonym=entitlement.pseudonym,
            facts=facts,
            input_tokens=tokens,
            cap=cap,
            counting=course.counting,
            prices=course.prices,
            at_best=at_best(facts, course, tokens) if saved is None else None,
        )

    def _pin(self, price: ModelPrice) -> None:
        if price.price_id not in self._pinned:
            self._ledger.pin_price(price.price_id, price.to_json())
            self._pinned.add(price.price_id)


def _over(call: Call, saved: int | None) -> InputTooLongError | None:
    """The refusal of a call with more input than its group's calls may have."""
    most, facts, price = call.policy.max_input_tokens, call.facts, call.price
    if most is None or facts is None or price is None or call.endpoint.free:
        return None
    tokens = input_length(facts, price, saved=saved or 0)
    return InputTooLongError(tokens, most) if tokens > most else None
