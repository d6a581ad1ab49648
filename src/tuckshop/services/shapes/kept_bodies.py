"""Prompts and answers that are kept, as those who may read them with a reason."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from tuckshop.services.shapes.parts import Sent, Shown

Reason = Annotated[str, Meta(min_length=1, max_length=200, description="Why; it is audited")]


class BodyRequest(Sent, frozen=True, kw_only=True):
    """Why somebody reads it."""

    reason: Reason


class KeptBodyShape(Shown, frozen=True, kw_only=True):
    """What was asked and answered in one call. JSON as it was, a stream as the one answer it came to; else text."""

    id: str
    at: str
    group: str
    member: str
    endpoint: str
    is_flagged: bool
    http_status: int | None  # null: it was not sent
    request: Any
    reply: Any  # null: there was none
    request_bytes: int
    reply_bytes: int
    is_cut: bool  # one of them was longer than is kept
