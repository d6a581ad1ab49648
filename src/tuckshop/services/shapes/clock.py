"""The server's clock."""

from __future__ import annotations

from tuckshop.services.shapes.parts import Shown


class ClockAccepted(Shown, frozen=True, kw_only=True):
    """The server goes on by this clock."""

    latest_before: str  # the latest time that the ledger had seen
    now: str
