"""What the gateway asks of those below it, and what it knows of its upstream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tuckshop.domain.records import Holder
from tuckshop.domain.reservation import Granted, Hold, RefusedRow, Settlement, Void
from tuckshop.protocols.openai.outgoing import Profile
from tuckshop.upstreams.pool import UpstreamPool


class Directory(Protocol):
    """Who holds which key, in memory."""

    def find(self, digest: bytes, now_us: int) -> Holder | None:
        """The holder of the key with this digest, whatever its state."""


class Resolver(Protocol):
    """Where a resolution is handed over; returns at once."""

    def settle(self, settlement: Settlement) -> None:
        """Replace what is held by what was used."""

    def void(self, void: Void) -> None:
        """Give all of it back."""


class Ledger(Resolver, Protocol):
    """Where reservations live. Promises hold across tasks, processes and instances."""

    async def reserve(self, hold: Hold) -> Granted:
        """Take the hold from every limit or from none, durably (M1, M2, M3). Raises the refusal of the tightest."""

    def refuse(self, row: RefusedRow) -> None:
        """Note a refusal of a known key."""

    def pin_price(self, price_id: str, content: str) -> None:
        """Keep the price that a hold is computed with (M11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The one upstream of this server, or what is known of it while it has none."""

    name: str
    profile: Profile
    pool: UpstreamPool | None  # None: no credential is set
    credential: str
    pseudonym_of: Callable[[str], str]  # member id → what the upstream may know of them (P3)
    gap_s: float
    reasoning_gap_s: float
