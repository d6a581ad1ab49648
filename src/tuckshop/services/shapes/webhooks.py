"""Webhooks, and what was sent to them."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, UnsetType

from tuckshop.domain.notices import NoticeKind
from tuckshop.domain.records import Reach
from tuckshop.domain.webhooks import DeliveryState, WebhookState
from tuckshop.services.shapes.parts import Sent, Shown, Versioned

Kinds = Annotated[list[NoticeKind], Meta(min_length=1, max_length=50)]
GroupList = Annotated[list[str], Meta(min_length=1, max_length=200)]


class WebhookChange(Sent, frozen=True, kw_only=True):
    """Any part of a webhook. Another scheme, host or port gives it a new secret, as `new_secret` does."""

    url: str | UnsetType = UNSET
    kinds: Kinds | UnsetType | None = UNSET  # null: all
    groups: GroupList | UnsetType | None = UNSET  # ids or names; null: all, the operator's alone
    reach: Reach | UnsetType = (
        UNSET  # `any`, the operator's alone: also addresses that are not public, and http
    )
    state: WebhookState | UnsetType = UNSET
    new_secret: bool = False


class NewWebhook(Sent, frozen=True, kw_only=True):
    """A webhook to be added."""

    url: str
    kinds: Kinds | None = None
    groups: GroupList | None = None
    reach: Reach = "public"


class WebhookShape(Versioned, frozen=True, kw_only=True):
    """A webhook, as read. `secret` only in the answer that makes it."""

    moves_by_itself: ClassVar[frozenset[str]] = frozenset(
        {"secret", "waiting", "dead", "failing_since", "told"}
    )

    id: str
    secret: str | UnsetType = UNSET
    url: str
    kinds: list[NoticeKind] | None
    groups: list[str] | None
    reach: Reach
    state: WebhookState
    waiting: int  # deliveries that are still to arrive
    dead: int  # deliveries that were given up
    failing_since: str | None  # null: the last one arrived
    told: str | None  # what came of the last one that did not
    created_by: str
    created_at: str


class WebhookPage(Shown, frozen=True, kw_only=True):
    """Webhooks, oldest first."""

    data: list[WebhookShape]
    next_cursor: str | None


class WebhookTest(Shown, frozen=True, kw_only=True):
    """What came of sending a test to a webhook."""

    webhook: str
    arrived: bool
    status: int | None  # of its answer
    message: str


class DeliveryShape(Shown, frozen=True, kw_only=True):
    """A notice on its way to a webhook, or there, or given up."""

    id: str  # the notice's, which is sent as `webhook-id`
    kind: NoticeKind
    state: DeliveryState
    attempts: int
    queued_at: str
    due_at: str | None  # null: it waits no more
    tried_at: str | None
    status: int | None  # that the receiver answered last
    told: str | None


class DeliveryPage(Shown, frozen=True, kw_only=True):
    """Deliveries, newest first."""

    data: list[DeliveryShape]
    next_cursor: str | None
