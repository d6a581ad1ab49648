"""What the holder of a key may do, worked out once and kept for as long as the directory gives out the same holder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tuckshop.domain.errors import ModelNotFoundError
from tuckshop.domain.policy import Policy, policy_of
from tuckshop.domain.records import Holder
from tuckshop.gateway.call import Course, course_of
from tuckshop.gateway.ports import DEFAULT_UPSTREAM, Prices, Upstreams
from tuckshop.pricing.prices import PriceList
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.upstreams.registry import Upstream

ENTITLEMENTS_MAX: Final = 4_096


class Entitlement:
    """What is worked out of a holder."""

    __slots__ = ("courses", "holder", "policy", "prices", "pseudonym")

    def __init__(self, holder: Holder, pseudonym: str, prices: PriceList) -> None:
        self.holder = holder
        self.policy = policy_of(holder)
        self.pseudonym = pseudonym  # what the upstream may know of the member (P3)
        self.courses: dict[tuple[str, str], Course] = {}  # by endpoint and the model as asked for
        self.prices = prices  # that the courses are from


class Entitlements:
    """The entitlements of those who call, at most `ENTITLEMENTS_MAX` of them."""

    def __init__(
        self, prices: Prices, upstreams: Upstreams, pseudonym_of: Callable[[str], str]
    ) -> None:
        """*pseudonym_of*: member id → what an upstream may know of them (P3)."""
        self._prices = prices
        self._upstreams = upstreams
        self._pseudonym_of = pseudonym_of
        self._known: dict[str, Entitlement] = {}  # by key id; the longest known first

    def of(self, holder: Holder) -> Entitlement:
        """What *holder* may do."""
        known = self._known.get(holder.key.id)
        if known is not None and known.holder is holder:
            return known
        if len(self._known) >= ENTITLEMENTS_MAX:
            del self._known[next(iter(self._known))]
        made = Entitlement(holder, self._pseudonym_of(holder.member.id), self._prices.now)
        self._known[holder.key.id] = made
        return made

    def course(self, entitlement: Entitlement, endpoint: Endpoint, asked: str) -> Course:
        """
        The course of calls to *endpoint* that ask for the model *asked*.

        Raises:
            RefusalError: As `course_of`; or no upstream serves it.
        """
        prices = self._prices.now
        if entitlement.prices is not prices:  # the time of a new price has come
            entitlement.prices = prices
            entitlement.courses.clear()
        course = entitlement.courses.get((endpoint.name, asked))
        if course is None:
            course = self._made_course(entitlement.policy, endpoint, asked, prices)
            # Only models that exist and are allowed come this far, so there are few.
            entitlement.courses[endpoint.name, asked] = course
        return course

    def _made_course(
        self, policy: Policy, endpoint: Endpoint, asked: str, prices: PriceList
    ) -> Course:
        upstreams = self._upstreams
        named = upstreams.named_in(asked)
        upstream = named or self._serving(asked, prices)
        model = asked if named is None else asked.removeprefix(f"{named.name}/")
        course = course_of(
            asked,
            endpoint=endpoint,
            policy=policy,
            prices=prices,
            upstream=upstream.name if upstream is not None else DEFAULT_UPSTREAM,
            # A compatible server may run any model under any name.
            is_listed=upstream is not None and upstream.profile == "openai",
            is_known=upstreams.lists(model),
        )
        self.check_served(course.price.model, named)
        return course

    def check_served(self, model: str, named: Upstream | None) -> None:
        """
        Does any upstream, or the one that was *named*, serve a model?

        Raises:
            ModelNotFoundError: None does. While no upstream can be called at all, that is told when one is needed.
        """
        if named is not None and not named.serves(model):
            raise ModelNotFoundError(model, None)
        if named is None and self.owner_of(model) is None:
            raise ModelNotFoundError(model, None)

    def owner_of(self, model: str) -> str | None:
        """The name of the upstream that serves a model; None: none of them does."""
        upstream = self._serving(model, self._prices.now)
        if upstream is not None:
            return upstream.name
        return None if self._upstreams.is_usable else DEFAULT_UPSTREAM

    def _serving(self, model: str, prices: PriceList) -> Upstream | None:
        return self._upstreams.serving(model, lambda name: prices.find(model, name) is not None)
