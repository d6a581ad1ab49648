"""What can be spent at worst."""

from __future__ import annotations

from tuckshop.services.shapes.parts import Shown, Usd


class SpendingBound(Shown, frozen=True, kw_only=True):
    """The most that can be spent in one window: `day`, `week`, `month`, `year`, `total`, or one such as `5 hours`."""

    window: str
    amount_usd: Usd
    renews_at: str | None  # None: total, and windows that roll


class WorstCaseShape(Shown, frozen=True, kw_only=True):
    """
    The most that a group's members can spend together, archived ones left out; of none, what one could.

    Without `bounds` nothing holds them up. `sentence` says it all.
    """

    members: int
    bounds: list[SpendingBound]
    sentence: str
