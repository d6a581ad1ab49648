"""Who is mailed of notices."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, field

from tuckshop.domain.notices import NoticeKind
from tuckshop.services.shapes.parts import Sent, Shown
from tuckshop.services.shapes.webhooks import Kinds

ADDRESSES_MAX: Final = 20


class NotifyOrder(Sent, frozen=True, kw_only=True):
    """Which addresses are mailed, of which kinds (null: all), and whether members are told of their own budgets."""

    mails: Annotated[list[str], Meta(max_length=ADDRESSES_MAX)] = field(default_factory=list)
    kinds: Kinds | None = None
    members: bool = False


class NotifyShape(Shown, frozen=True, kw_only=True):
    """The same, as read."""

    mails: list[str]
    kinds: list[NoticeKind] | None
    members: bool
    trouble: str | None  # why no mails are sent; null: they are
