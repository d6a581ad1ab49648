"""Month-end statements."""

from __future__ import annotations

from typing import Final

from tuckshop.services.shapes.parts import Shown, Usd


class StatementLine(Shown, frozen=True, kw_only=True):
    """What one member used in the month."""

    member: str
    external_id: str | None  # null: there is no such member any more
    name: str | None
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: Usd  # corrections included
    guessed_usd: Usd  # of that: calls that were charged without a usage to rely on


STATEMENT_COLUMNS: Final = StatementLine.__struct_fields__


class ModelLine(Shown, frozen=True, kw_only=True):
    """What was used of one model."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: Usd


class StatementGrant(Shown, frozen=True, kw_only=True):
    """Money that was granted in the month, beside the limits."""

    at: str
    member: str | None  # null: to the whole group
    external_id: str | None
    name: str | None
    amount_usd: Usd
    until: str | None
    reason: str | None


class StatementCorrection(Shown, frozen=True, kw_only=True):
    """What was added to the charge of a call of the month, or taken off; the sums hold it."""

    at: str
    request: str
    member: str
    external_id: str | None
    name: str | None
    cost_usd: Usd
    reason: str | None


class StatementSum(Shown, frozen=True, kw_only=True):
    """All members together."""

    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: Usd
    guessed_usd: Usd
    guessed_requests: int


class Statement(Shown, frozen=True, kw_only=True):
    """What a group used in a month of its own zone."""

    group: str
    name: str
    title: str
    month: str
    time_zone: str
    since: str
    until: str  # not included
    is_over: bool  # false: the month still runs, or calls of it do
    made_at: str
    data: list[StatementLine]  # who used something, by external id
    models: list[ModelLine]
    total: StatementSum
    grants: list[StatementGrant]
    corrections: list[StatementCorrection]
    next_cursor: None = None
