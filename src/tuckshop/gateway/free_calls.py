"""Calls that nothing is sent for: `GET /v1/models`. They take from limits on requests and make a row like any other."""

from __future__ import annotations

from tuckshop.domain.policy import limits_for
from tuckshop.domain.reservation import CapWish, Outcome
from tuckshop.edge.exchange import Exchange
from tuckshop.gateway import outcome
from tuckshop.gateway.admission import Admission
from tuckshop.gateway.call import FREE, Call, allowed_endpoint, priced_model
from tuckshop.gateway.entitlements import Entitlements
from tuckshop.gateway.identify import Arrival
from tuckshop.gateway.models import model_body, models_body
from tuckshop.gateway.ports import DEFAULT_UPSTREAM, Prices, Resolver, Upstreams
from tuckshop.protocols.openai.headers import Telling, answer_headers
from tuckshop.protocols.openai.table import GROUPS, model_in


class FreeCalls:
    """Answers them from what is known here."""

    def __init__(
        self,
        *,
        admission: Admission,
        ledger: Resolver,
        entitlements: Entitlements,
        prices: Prices,
        upstreams: Upstreams,
    ) -> None:
        self._admission = admission
        self._ledger = ledger
        self._entitlements = entitlements
        self._prices = prices
        self._upstreams = upstreams

    async def serve(self, arrival: Arrival, exchange: Exchange) -> None:
        """Answer one; raises the refusal."""
        call, granted = await self._admission.reserve(
            arrival, lambda _: self._call(arrival, exchange.path)
        )
        self._ledger.settle(outcome.charge_nothing(granted, Outcome(http_status=200), frozenset()))
        headers = answer_headers(
            request_id=call.request_id,
            content_type=b"application/json",
            is_stream=False,
            standing=call.telling.fields(granted.readings, granted.at_us),
            upstream_request_id=None,
            cost_usd="0",
            output_cap=None,
        )
        exchange.reply(200, headers, self._body(call))

    def _body(self, call: Call) -> bytes:
        prices = self._prices.now
        price = prices.find(call.model, call.upstream)
        if price is not None:
            return model_body(price, call.upstream)
        return models_body(prices, call.policy, self._entitlements.owner_of)

    def _call(self, arrival: Arrival, path: str) -> Call:
        endpoint, holder = arrival.endpoint, arrival.holder
        policy = self._entitlements.of(holder).policy
        allowed_endpoint(endpoint, policy, GROUPS)
        model, upstream = "", DEFAULT_UPSTREAM
        if endpoint.name == "models.get":
            asked = model_in(path)
            named = self._upstreams.named_in(asked)
            upstream = (named and named.name) or self._entitlements.owner_of(asked) or upstream
            price = priced_model(asked, policy=policy, prices=self._prices.now, upstream=upstream)
            self._entitlements.check_served(price.model, named)
            model = price.model
        limits = limits_for(policy, model, (), endpoint.group)
        return Call(
            request_id=arrival.request_id,
            endpoint=endpoint,
            holder=holder,
            policy=policy,
            tag=arrival.tag,
            network=arrival.network,
            model=model,
            upstream=upstream,
            price=None,
            limits=limits,
            telling=Telling(limits),
            terms=FREE,
            pseudonym=None,
            facts=None,
            input_tokens=0,
            cap=CapWish(wanted=0, greatest=0, least=0),
        )
