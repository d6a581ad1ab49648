"""
Outcome → charge: what a call is charged, by how it ended (`Settlement` or `Void`).

Valid usage is charged exactly. A void needs proof that nothing was billed (M10). Everything else is charged at its
bound and flagged `unconfirmed` (M9): money may be over-counted and corrected, never lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tuckshop.domain.money import NanoUSD
from tuckshop.domain.reservation import (
    Amounts,
    Flag,
    Granted,
    Outcome,
    Settlement,
    Void,
)
from tuckshop.pricing.bound import takes_in
from tuckshop.pricing.cost import Usage, dearer
from tuckshop.pricing.prices import ModelPrice
from tuckshop.protocols.openai.usage import UNREADABLE

# 429 bodies that say the account itself is out of money: retrying is no use, and the holder is not to blame.
OUT_OF_MONEY: Final = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "project_spend_limit_exceeded",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    }
)


# Tiers that cost more than the one every call asks for (`default`), with the most halves of its price that any model
# asks for them (docs/reference/pricing.md).
DEARER_TIERS: Final[Mapping[str, int]] = {"priority": 5, "fast": 5, "ultrafast": 12}
# Those that never cost more.
USUAL_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "standard"})


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """What the upstream said of a reply: usage, and by which model and tier it was made."""

    usage: Usage | None
    model: str | None
    answered_price: ModelPrice | None  # of `model`, where the price list knows it
    tier: str | None = None  # `service_tier`, as the reply says
    saw_output: bool = False  # the reply held text of the model
    prompts: int = 1  # of the call: inputs that each went to the model by themselves


def charge_reported(
    reported: Reported,
    *,
    granted: Granted,
    price: ModelPrice,
    outcome: Outcome,
    flags: frozenset[Flag],
) -> Settlement:
    """
    The settlement of a reply that came to its end: exact where the usage is valid, else the bound.

    By the dearer of the model asked for and the one that answered; a dearer tier by the most that it can cost.
    """
    usage = reported.usage
    saw_output, prompts = reported.saw_output, reported.prompts
    if usage is None or not is_plausible(
        usage, price, granted, saw_output=saw_output, prompts=prompts
    ):
        return charge_bound(granted, outcome=outcome, flags=flags)
    answered = reported.answered_price
    if answered is None and reported.model is not None and reported.model != price.model:
        # Nobody can say what the model that answered costs: priced as the one asked for, and told.
        flags |= {"estimated"}
    cost_nano = dearer(usage, price, answered or price)
    if reported.tier is not None and reported.tier not in USUAL_TIERS:
        flags |= {"estimated"}
        cost_nano = NanoUSD(-(-cost_nano * DEARER_TIERS.get(reported.tier, 2) // 2))
    charged = Amounts(
        cost_nano=cost_nano,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        images=granted.held.images,
    )
    return Settlement(
        request_id=granted.request_id,
        charged=charged,
        cached_tokens=usage.cached_tokens,
        outcome=outcome,
        flags=flags,
    )


def charge_bound(granted: Granted, *, outcome: Outcome, flags: frozenset[Flag]) -> Settlement:
    """The settlement of a call whose use nobody knows: all that was held."""
    return Settlement(
        request_id=granted.request_id,
        charged=granted.held,
        cached_tokens=0,
        outcome=outcome,
        flags=flags | {"unconfirmed"},
    )


def charge_nothing(granted: Granted, outcome: Outcome, flags: frozenset[Flag]) -> Settlement:
    """The settlement of a call that is free by its price."""
    return Settlement(
        request_id=granted.request_id,
        charged=Amounts(images=granted.held.images),
        cached_tokens=0,
        outcome=outcome,
        flags=flags,
    )


def void(granted: Granted, *, outcome: Outcome, flags: frozenset[Flag] = frozenset()) -> Void:
    """All of it back; the caller holds the proof."""
    return Void(request_id=granted.request_id, outcome=outcome, flags=flags)


def is_plausible(
    usage: Usage,
    price: ModelPrice,
    granted: Granted,
    *,
    saw_output: bool = False,
    prompts: int = 1,
) -> bool:
    """
    Can these numbers be? No credit is ever given on numbers that cannot.

    More than was held is plausible (an overrun, charged and logged), up to the model's window per input or choice; no
    input at all where text was sent, or no output where some was seen, is not. What was held is always plausible: of a
    compatible upstream's models no window is known, so more than one may have been held.
    """
    if not usage.is_consistent or (saw_output and granted.cap and not usage.output_tokens):
        return False
    if granted.held.input_tokens and not usage.input_tokens:
        return False
    held = granted.held
    if not _fits(usage.input_tokens, takes_in(price, prompts), held.input_tokens):
        return False
    if not granted.cap:
        return not usage.output_tokens
    choices = held.output_tokens // granted.cap
    return _fits(usage.output_tokens // choices, takes_in(price), granted.cap)


def _fits(tokens: int, most: int | None, held: int) -> bool:
    return most is None or tokens <= max(most, held)


class _Error(msgspec.Struct):
    code: str | int | None = None
    type: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


_DECODER: Final = msgspec.json.Decoder(_ErrorBody)


def provider_error(body: bytes) -> tuple[str | None, str | None] | None:
    """(code, type) of *body* where it is the provider's error JSON, else None: a gateway's page proves nothing."""
    try:
        error = _DECODER.decode(body).error
    except UNREADABLE:
        return None
    return (str(error.code) if error.code is not None else None), error.type


def is_out_of_money(code: str | None, type_: str | None) -> bool:
    """Does a 429 say that the account behind the credential is out of its own money?"""
    return code in OUT_OF_MONEY or type_ in OUT_OF_MONEY
