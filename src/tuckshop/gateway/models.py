"""The answers to `GET /v1/models`: only what the key may use, with the upstream's own shape."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import msgspec

from tuckshop.domain.policy import Policy
from tuckshop.pricing.prices import ModelPrice, PriceList


def models_body(prices: PriceList, policy: Policy, upstream: str) -> bytes:
    """The list of models that have a price and that *policy* opens."""
    usable = (row for row in prices.rows() if not row.search and policy.may_model(row.model))
    rows = [_shown(row, upstream) for row in usable]
    return msgspec.json.encode({"object": "list", "data": rows})


def model_body(price: ModelPrice, upstream: str) -> bytes:
    """One of them."""
    return msgspec.json.encode(_shown(price, upstream))


def _shown(price: ModelPrice, upstream: str) -> dict[str, Any]:
    # `created` is when we learned of it: the provider's own date is in no price list.
    created = int(datetime.combine(price.dated, time(), tzinfo=UTC).timestamp())
    return {"id": price.model, "object": "model", "created": created, "owned_by": upstream}
