"""What the ledger's face hands to its engine through the writer, and what it hears back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from tuckshop.domain.reservation import (
    Amounts,
    Hold,
    RefusedRow,
    ReservationState,
    Settlement,
    Void,
)
from tuckshop.ledger.sums import Summed, Unsummed


class Reserve(msgspec.Struct, frozen=True):
    """Admit a call, or park it."""

    hold: Hold
    arrived_s: float  # monotonic


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Nobody waits for this reservation any more, and nothing was dispatched: out of the queue, or void."""

    workspace_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class PinPrice:
    """Keep the price row that holds are computed with (M11)."""

    price_id: str
    content: str


@dataclass(frozen=True, slots=True)
class TakeSums:
    """Counters that were summed off the writer."""

    summed: Summed


@dataclass(frozen=True, slots=True)
class WriteNotes:
    """Write the repeat counts of refusals now."""


@dataclass(frozen=True, slots=True)
class SumDays:
    """Take a step with the day sums."""


@dataclass(frozen=True, slots=True)
class ReleaseAll:
    """Refuse everybody who waits."""


Operation: TypeAlias = (
    Reserve
    | Settlement
    | Void
    | Withdraw
    | RefusedRow
    | PinPrice
    | TakeSums
    | WriteNotes
    | SumDays
    | ReleaseAll
)


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """How a reservation ended: by the first resolution, whatever came after it (M6)."""

    request_id: str
    state: ReservationState
    charged: Amounts
    position: int  # of that first resolution
    is_first: bool  # False: this was a repetition and changed nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A correction as posted: what was added to the charge (M7)."""

    request_id: str
    position: int
    added_cost_nano: int
    added_input_tokens: int
    added_output_tokens: int


__all__ = [
    "Correction",
    "Operation",
    "PinPrice",
    "ReleaseAll",
    "Reserve",
    "Resolved",
    "SumDays",
    "Summed",
    "TakeSums",
    "Unsummed",
    "Withdraw",
    "WriteNotes",
]
