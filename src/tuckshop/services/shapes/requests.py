"""The request log."""

from __future__ import annotations

from typing import Literal

from tuckshop.services.shapes.parts import Shown, Usd


class RequestShape(Shown, frozen=True, kw_only=True):
    """A row of the request log. Counts and cost are null while the call runs."""

    id: str
    at: str
    member: str
    key: str
    group: str
    endpoint: str
    model: str
    status: Literal["settled", "voided", "reserved", "refused", "blocked"]
    http_status: int | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cost_usd: Usd | None  # corrections included
    flags: list[str]
    first_byte_ms: int | None
    duration_ms: int | None
    queue_ms: int | None
    upstream: str
    upstream_request_id: str | None
    tag: str | None
    network: str | None  # two calls with the same came from one network; kept for 14 days
    repeats: int
    error: str | None


class RequestPage(Shown, frozen=True, kw_only=True):
    """The request log, newest first."""

    data: list[RequestShape]
    next_cursor: str | None
