"""The answers to `GET /v1/models`: only what the key may use, with the upstream's own shape."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

import msgspec

from tuckshop.domain.policy import Policy
from tuckshop.pricing.prices import ModelPrice, PriceList


def models_body(
    prices: PriceList, policy: Policy, owner_of: Callable[[ModelPrice], str | None]
) -> bytes:
    """
    The list of models that have a price and that *policy* opens.

    Args:
        owner_of: The name of the upstream that serves a model; None where none does.
    """
    usable = (row for row in prices.rows() if not row.search and policy.may_model(row.model))
    rows = [_shown(row, owner) for row in usable if (owner := owner_of(row)) is not None]
    return msgspec.json.encode({"object": "list", "data": rows})


def model_body(price: ModelPrice, upstream: str) -> bytes:
    """One of them."""
    return msgspec.json.encode(_shown(price, upstream))


def _shown(price: ModelPrice, upstream: str) -> dict[str, Any]:
    # `created` is when we learned of it: the provider's own date is in no price list.
    created = int(datetime.combine(price.dated, time(), tzinfo=UTC).timestamp())
    return {"id": price.model, "object": "model", "created": created, "owned_by": upstream}
