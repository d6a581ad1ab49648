"""The answers to `GET /v1/models`: only what the key may use, with the upstream's own shape."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

import msgspec

from tuckshop.domain.policy import Policy
from tuckshop.pricing.prices import ModelPrice, PriceList


def models_body(prices: PriceList, policy: Policy, owner_of: Callable[[str], str | None]) -> bytes:
    """
    The list of models that have a price and that *policy* opens.

    Args:
        owner_of: The name of the upstream that serves a model; None where none does.
    """
    rows = []
    for model in prices.models():
        owner = owner_of(model) if policy.may_model(model) else None
        price = None if owner is None else prices.find(model, owner)
        if owner is not None and price is not None and not price.search:
            rows.append(_shown(price, owner))
    return msgspec.json.encode({"object": "list", "data": rows})


def model_body(price: ModelPrice, upstream: str) -> bytes:
    """One of them."""
    return msgspec.json.encode(_shown(price, upstream))


def _shown(price: ModelPrice, upstream: str) -> dict[str, Any]:
    # `created` is when we learned of it: the provider's own date is in no price list.
    created = int(datetime.combine(price.dated, time(), tzinfo=UTC).timestamp())
    return {"id": price.model, "object": "model", "created": created, "owned_by": upstream}
