"""The audit trail."""

from __future__ import annotations

from typing import Any

from tuckshop.services.shapes.parts import Shown


class AuditRow(Shown, frozen=True, kw_only=True):
    """What somebody did: `before` and `after` hold ids and policy, no names and no secrets."""

    number: int  # 1, 2, 3 … without gaps
    at: str
    actor: str
    action: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditPage(Shown, frozen=True, kw_only=True):
    """The audit trail, newest first."""

    data: list[AuditRow]
    next_cursor: str | None


class AuditCheck(Shown, frozen=True, kw_only=True):
    """How many rows there are, and the number of the first that does not follow from the one before it."""

    rows: int
    first_broken: int | None
