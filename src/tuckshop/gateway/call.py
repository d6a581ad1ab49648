"""
Understand: what a call asks and what it can cost at worst.

From a parsed body and the holder's policy to a `Hold`: allowed or refused with what is allowed (K9, M9), bounded by
a proven maximum (reliability: bound and clamp).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from tuckshop.domain.errors import (
    EndpointNotAllowedError,
    ModelNotAllowedError,
    ModelNotFoundError,
    ModelNotPricedError,
    ParameterNotAllowedError,
)
from tuckshop.domain.limits import Metric
from tuckshop.domain.policy import Policy, limits_for
from tuckshop.domain.records import Holder
from tuckshop.domain.reservation import AtBest, CapWish, Hold, HoldTerms, LimitInForce
from tuckshop.pricing.bound import input_bound, terms_of
from tuckshop.pricing.encodings import Counting, counting_of
from tuckshop.pricing.images import image_tokens
from tuckshop.pricing.prices import ModelPrice, PriceList, nearest
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai.body import BodyFacts
from tuckshop.protocols.openai.headers import Telling

FLOOR_TOKENS: Final = 16  # a shorter answer is no answer

# Limits that a smaller input bound leaves more room in.
_COUNTS_INPUT: Final = frozenset({Metric.MONEY, Metric.TOKENS, Metric.INPUT_TOKENS})

FREE: Final = HoldTerms(price_id="free", input_nano_per_million=0, output_nano_per_million=0)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call that the policy allows, with the most it can cost."""

    request_id: str
    endpoint: Endpoint
    holder: Holder
    policy: Policy
    tag: str | None
    model: str  # resolved: without upstream prefix; "" where the endpoint has none
    upstream: str  # the name of the one that serves it
    price: ModelPrice | None  # None: an endpoint without a model, which costs nothing
    limits: tuple[LimitInForce, ...]  # those that such a call takes from
    telling: Telling  # of these limits, in the reply
    terms: HoldTerms
    pseudonym: str | None  # what the upstream is told of the member
    facts: BodyFacts | None
    input_tokens: int  # bound
    cap: CapWish
    counting: Counting | None = None  # how its input is counted, should it come to that
    at_best: AtBest | None = None  # None: the bound stands as it is
    prices: PriceList | None = None  # the list in force when it was admitted (M11)
    network: bytes | None = None  # digest of the one it came from (P12)

    def is_lowered_by(self, cap: int) -> bool:
        """Is *cap* lower than what the client asked for, or else than what the model would do by itself?"""
        assert self.price is not None
        assert self.facts is not None
        usual = self.facts.cap_wanted
        if usual is None:
            usual = self.price.max_output_tokens
        return usual is not None and cap < usual

    @property
    def is_free(self) -> bool:
        """Whether nothing of it is billed, whatever its reply says."""
        return self.endpoint.free or (self.price is not None and self.price.free)

    def hold(self) -> Hold:
        """What is to be reserved before this call may be dispatched."""
        holder, price = self.holder, self.price
        aliases = price.aliases if price else ()
        return Hold(
            request_id=self.request_id,
            workspace_id=holder.workspace.id,
            group_id=holder.group.id,
            member_id=holder.member.id,
            key_id=holder.key.id,
            directory_version=holder.directory_version,
            limits=self.limits,
            endpoint=self.endpoint.name,
            endpoint_group=self.endpoint.group,
            model=self.model,
            model_aliases=aliases,
            upstream=self.upstream,
            terms=self.terms,
            input_tokens=self.input_tokens,
            images=0,
            cap=self.cap,
            patience_s=self.policy.patience_s,
            tag=self.tag,
            at_best=self.at_best,
            network=self.network,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a model at an endpoint comes to under one policy; the same for every call, so it is looked up once."""

    price: ModelPrice
    upstream: str  # the name of the one that serves it
    limits: tuple[LimitInForce, ...]
    telling: Telling  # of these limits
    terms: HoldTerms | None  # None: they depend on how long the input is
    prices: PriceList  # that the price is from
    counting: Counting | None = None  # None: exact counts cannot be had, or would not matter
    is_listed: bool = (
        True  # the model at the upstream is surely the one of the price, window and all
    )

    def terms_for(self, input_tokens: int) -> HoldTerms:
        """What a hold with so much input is computed with."""
        return self.terms or terms_of(self.price, input_bound=input_tokens, may_keep_12h=False)


def course_of(
    asked: str,
    *,
    endpoint: Endpoint,
    policy: Policy,
    prices: PriceList,
    upstream: str,
    is_listed: bool = True,
    is_known: bool = False,
) -> Course:
    """
    The course of calls to *endpoint* that ask for the model *asked*.

    Args:
        upstream: The name of the one that serves it.
        is_listed: Whether the upstream's models are those of the price list, windows, vocabularies and all.
        is_known: Whether an upstream says that it has the model, be there a price or not.
    Raises:
        ModelNotAllowedError, ModelNotFoundError, ParameterNotAllowedError: As `priced_model`; or the model is of
            another family than the endpoint.
    """
    price = priced_model(asked, policy=policy, prices=prices, upstream=upstream, is_known=is_known)
    if price.family not in endpoint.families:
        raise ParameterNotAllowedError("model", f"{price.model} is no model for this endpoint")
    terms = None
    if endpoint.free:
        terms = FREE
    elif price.long_context_start is None:
        terms = terms_of(price, input_bound=0, may_keep_12h=False)
    limits = limits_for(policy, price.model, price.aliases, endpoint.group)
    matters = not endpoint.free and (
        policy.max_input_tokens is not None
        or any(limit.limit.metric in _COUNTS_INPUT for limit in limits)
    )
    return Course(
        price=price,
        upstream=upstream,
        limits=limits,
        telling=Telling(limits),
        terms=terms,
        counting=counting_of(price) if is_listed and matters else None,
        # Who says what a model costs says how much it takes in, too.
        is_listed=is_listed or (upstream, price.model) in prices.overrides,
        prices=prices,
    )


def allowed_endpoint(endpoint: Endpoint, policy: Policy, groups: tuple[str, ...]) -> None:
    """
    Does *policy* open *endpoint*? *groups*: the endpoint groups there are, for the refusal.

    Raises:
        EndpointNotAllowedError: It does not; names what it opens.
    """
    if not policy.may_endpoint(endpoint.group, default_open=True):
        allowed = tuple(g for g in groups if policy.may_endpoint(g, default_open=True))
        raise EndpointNotAllowedError(endpoint.group, allowed)


def priced_model(
    asked: str,
    *,
    policy: Policy,
    prices: PriceList,
    upstream: str,
    is_known: bool = False,
) -> ModelPrice:
    """
    The price row of the model that *asked* names, by exact id behind an optional upstream prefix (K9).

    Raises:
        ModelNotAllowedError, ModelNotFoundError: Names what is allowed, or the nearest name.
        ModelNotPricedError: It is known, and nobody said what it costs (M9).
        ParameterNotAllowedError: It searches the web, for a fee that no token rate covers.
    """
    model = asked.removeprefix(f"{upstream}/")
    if not policy.may_model(model):
        raise ModelNotAllowedError(model, policy.allowed_models())
    price = prices.find(model, upstream)
    if price is None and is_known:
        raise ModelNotPricedError(model)
    if price is None:
        names = (name for name in prices.models() if policy.may_model(name))
        raise ModelNotFoundError(model, nearest(model, names))
    if price.search:
        raise ParameterNotAllowedError("model", f"{model} searches the web for a fee per call")
    return price


def bounded(
    facts: BodyFacts,
    price: ModelPrice,
    *,
    policy: Policy,
    endpoint: Endpoint,
    saved: int = 0,
    is_listed: bool = True,
) -> tuple[int, CapWish]:
    """
    (the most input tokens, the cap the call would like) of a body.

    Args:
        saved: Of its bytes, by counting exactly.
        is_listed: Whether the model takes in no more than the price list says.
    Raises:
        ParameterNotAllowedError: It has an image that the model does not take, or of which nobody knows the cost.
    """
    tokens = input_length(facts, price, saved=saved, is_listed=is_listed)
    if price.free or endpoint.free:
        tokens = 0  # nothing of a free call is billed, tokens neither
    if not endpoint.generates or facts.cap_wanted == 0:
        return tokens, CapWish(wanted=0, greatest=0, least=0)
    assert price.max_output_tokens is not None  # the price list has no chat model without
    greatest = price.max_output_tokens
    if policy.max_output_tokens is not None:
        greatest = min(greatest, policy.max_output_tokens)
    floor = policy.min_output_tokens if price.reasons else FLOOR_TOKENS
    wanted = None if facts.cap_wanted is None else min(facts.cap_wanted, greatest)
    least = min(floor, greatest if wanted is None else wanted)
    return tokens, CapWish(wanted=wanted, greatest=greatest, least=least, choices=facts.choices)


def input_length(
    facts: BodyFacts, price: ModelPrice, *, saved: int = 0, is_listed: bool = False
) -> int:
    """The most input tokens of a body, whatever they cost; arguments and refusals as of `bounded`."""
    return input_bound(
        text_bytes=facts.text_bytes - saved,
        messages=facts.messages,
        tools=facts.tools,
        schema_properties=facts.schema_properties,
        token_ids=facts.token_ids,
        image_tokens=_image_tokens(facts, price),
        prompts=facts.prompts,
        price=price if is_listed else None,
    )


def _image_tokens(facts: BodyFacts, price: ModelPrice) -> int:
    if price.free:
        return 0
    total = 0
    for image in facts.images:
        if price.images is None:
            raise ParameterNotAllowedError(
                image.path, f"{price.model} takes no images, or what they cost with it is not known"
            )
        tokens = image_tokens(price.images, pixels=image.pixels, detail=image.detail)
        if tokens is None:
            raise ParameterNotAllowedError(
                image.detail_path,
                f"with {price.model} an image costs by its pixels, and how many these are cannot be read here:"
                " say `high` or `low`, or send the image itself as a data URL",
            )
        total += tokens
    return total
