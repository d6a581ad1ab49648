"""Legal holds, as staff set and see them."""

from __future__ import annotations

from tuckshop.services.shapes.kept_bodies import Reason
from tuckshop.services.shapes.parts import Sent, Shown


class NewHold(Sent, frozen=True, kw_only=True):
    """Of whom nothing is to be deleted: one of the two."""

    group: str | None = None
    member: str | None = None
    reason: Reason


class HoldRelease(Sent, frozen=True, kw_only=True):
    """Why it is over."""

    reason: Reason


class HoldShape(Shown, frozen=True, kw_only=True):
    """A legal hold. Its reasons stand in the audit trail."""

    id: str
    group: str
    member: str | None  # null: of the whole group
    at: str
    set_by: str
    released_at: str | None
    released_by: str | None


class HoldPage(Shown, frozen=True, kw_only=True):
    """Legal holds, oldest first."""

    data: list[HoldShape]
    next_cursor: str | None
