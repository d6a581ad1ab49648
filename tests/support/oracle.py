"""
The made-up upstream's bill, read and priced by the tests' own rules.

It shares no line with `protocols/`, `pricing/` or the ledger: prices are a small table of its own, taken from the
provider's price page, so that a wrong price of ours would show.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# USD per 10⁶ tokens: input, cached input, output. OpenAI's price page, 2026-11.
_USD_PER_MILLION: Final[Mapping[str, tuple[str, str, str]]] = {
    "gpt-4o-mini": ("0.15", "0.075", "0.60"),
    "gpt-4o-mini-2024-07-18": ("0.15", "0.075", "0.60"),
    "gpt-4o": ("2.50", "1.25", "10.00"),
    "gpt-4o-2024-08-06": ("2.50", "1.25", "10.00"),
    "gpt-4.1": ("2.00", "0.50", "8.00"),
    "gpt-4.1-2025-04-14": ("2.00", "0.50", "8.00"),
    "gpt-4.1-mini": ("0.40", "0.10", "1.60"),
    "gpt-4.1-mini-2025-04-14": ("0.40", "0.10", "1.60"),
    "gpt-4.1-nano": ("0.10", "0.025", "0.40"),
    "gpt-4.1-nano-2025-04-14": ("0.10", "0.025", "0.40"),
    "gpt-3.5-turbo": ("0.50", "0.50", "1.50"),
    "gpt-3.5-turbo-0125": ("0.50", "0.50", "1.50"),
    "o3-mini": ("1.10", "0.55", "4.40"),
    "o3-mini-2025-01-31": ("1.10", "0.55", "4.40"),
    "gpt-5-mini": ("0.25", "0.025", "2.00"),
    "gpt-5-mini-2025-08-07": ("0.25", "0.025", "2.00"),
    "text-embedding-3-small": ("0.02", "0.02", "0"),
    "text-embedding-3-large": ("0.13", "0.13", "0"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledCall:
    """What the provider billed for one request that reached it."""

    client_id: str | None  # tuckshop's id of the request, if it sent one
    upstream_id: str
    model: str  # as asked for
    served_model: str  # as the reply says
    service_tier: str
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    ended: str | None  # "done", "left", "cut"; None: the provider was killed, or is at it still

    @property
    def cost_nano_usd(self) -> int:
        """Its cost, rounded up once, in nano-USD. KeyError: a model this table has no price for."""
        rates = _USD_PER_MILLION.get(self.served_model) or _USD_PER_MILLION[self.model]
        per_input, per_cached, per_output = (_nano(text) for text in rates)
        sum_ = (
            (self.input_tokens - self.cached_tokens) * per_input
            + self.cached_tokens * per_cached
            + self.output_tokens * per_output
        )
        return -(-sum_ // 1_000_000)


def _nano(usd: str) -> int:
    """Nano-USD, exactly, of a decimal text."""
    whole, _, fraction = usd.partition(".")
    return int(whole + fraction.ljust(9, "0"))


def read_bill(path: Path) -> list[BilledCall]:
    """
    Every call on the bill at *path*, in the order in which they began.

    The last line may be cut: a provider that is killed is killed anywhere. What it says is not sent yet.
    """
    calls: dict[str, dict[str, Any]] = {}
    for text in path.read_bytes().split(b"\n")[:-1]:
        line = json.loads(text)
        calls.setdefault(line["upstream_id"], {}).update(line)
    return [
        BilledCall(
            client_id=line["id"],
            upstream_id=line["upstream_id"],
            model=line["model"],
            served_model=line["served_model"],
            service_tier=line["service_tier"],
            input_tokens=line["input_tokens"],
            cached_tokens=line["cached_tokens"],
            cache_write_tokens=line["cache_write_tokens"],
            output_tokens=line["output_tokens"],
            ended=line.get("why"),
        )
        for line in calls.values()
    ]


def by_client_id(calls: Iterable[BilledCall]) -> dict[str, list[BilledCall]]:
    """Each request of ours with all the calls it led to: more than one where it was tried again."""
    grouped: dict[str, list[BilledCall]] = {}
    for call in calls:
        if call.client_id is not None:
            grouped.setdefault(call.client_id, []).append(call)
    return grouped


def billed_nano_usd(path: Path) -> dict[str, int]:
    """What each request of ours cost the account, in nano-USD, by its id."""
    return {
        client_id: sum(call.cost_nano_usd for call in calls)
        for client_id, calls in by_client_id(read_bill(path)).items()
    }
