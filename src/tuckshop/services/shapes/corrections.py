"""Corrections of many calls at once."""

from __future__ import annotations

from typing import Literal

from tuckshop.services.shapes.parts import Sent, Shown, Usd


class BulkCorrection(Sent, frozen=True, kw_only=True):
    """Calls that were charged their bound as `unconfirmed`, and what the upstream billed for all of them together."""

    unconfirmed: Literal[True]
    since: str
    until: str | None = None  # not included
    group: str | None = None
    to_usd: Usd
    reason: str
    dry_run: bool = True
    calls: int | None = None  # how many there were in the dry run; needed to post


class CorrectedCall(Shown, frozen=True, kw_only=True):
    """One of them."""

    request: str
    at: str
    member: str
    charged_usd: Usd
    to_usd: Usd


class CorrectionReport(Shown, frozen=True, kw_only=True):
    """What was posted, or would be."""

    dry_run: bool
    calls: int
    charged_usd: Usd
    to_usd: Usd
    data: list[CorrectedCall]  # the first 1,000
