"""What the holder of a key may do, worked out once and kept for as long as the directory gives out the same holder."""

from __future__ import annotations

from typing import Final

from tuckshop.domain.policy import policy_of
from tuckshop.domain.records import Holder
from tuckshop.gateway.call import Course, course_of
from tuckshop.gateway.ports import Upstream
from tuckshop.pricing.prices import PriceList
from tuckshop.protocols.endpoints import Endpoint

ENTITLEMENTS_MAX: Final = 4_096


class Entitlement:
    """What is worked out of a holder."""

    __slots__ = ("courses", "holder", "policy", "pseudonym")

    def __init__(self, holder: Holder, pseudonym: str) -> None:
        self.holder = holder
        self.policy = policy_of(holder)
        self.pseudonym = pseudonym  # what the upstream may know of the member (P3)
        self.courses: dict[tuple[str, str], Course] = {}  # by endpoint and the model as asked for


class Entitlements:
    """The entitlements of those who call, at most `ENTITLEMENTS_MAX` of them."""

    def __init__(self, prices: PriceList, upstream: Upstream) -> None:
        self._prices = prices
        self._upstream = upstream
        self._known: dict[str, Entitlement] = {}  # by key id; the longest known first

    def of(self, holder: Holder) -> Entitlement:
        """What *holder* may do."""
        known = self._known.get(holder.key.id)
        if known is not None and known.holder is holder:
            return known
        if len(self._known) >= ENTITLEMENTS_MAX:
            del self._known[next(iter(self._known))]
        made = Entitlement(holder, self._upstream.pseudonym_of(holder.member.id))
        self._known[holder.key.id] = made
        return made

    def course(self, entitlement: Entitlement, endpoint: Endpoint, asked: str) -> Course:
        """
        The course of calls to *endpoint* that ask for the model *asked*.

        Raises:
            RefusalError: As `course_of`.
        """
        course = entitlement.courses.get((endpoint.name, asked))
        if course is None:
            course = course_of(
                asked,
                endpoint=endpoint,
                policy=entitlement.policy,
                prices=self._prices,
                upstream=self._upstream.name,
                # A compatible server may run any model under any name.
                may_count=self._upstream.profile == "openai",
            )
            # Only models that exist and are allowed come this far, so there are few.
            entitlement.courses[endpoint.name, asked] = course
        return course
