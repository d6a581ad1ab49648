"""
Corrections in bulk: what was charged at its bound because nobody knew better, set to what the upstream billed (M7).

The operator states one amount, read off the upstream's usage report: what it billed for all these calls together. It
is spread over them in proportion to their bounds. So nobody gets back more than was charged, the sum is exact, and a
call that was corrected before is left alone.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, exists, func, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import ConflictError, InvalidFieldError, TuckshopError
from tuckshop.domain.money import format_usd, parse_usd, usd, usd_text
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.reasons import reason_of
from tuckshop.services.request_log import time_of
from tuckshop.services.search import seen_by
from tuckshop.services.shapes.corrections import BulkCorrection, CorrectedCall, CorrectionReport
from tuckshop.storage.database import Database
from tuckshop.storage.schema import entries, requests

CALLS_MAX: Final = 10_000
CHUNK: Final = 100  # in one transaction: calls wait for it
SHOWN_MAX: Final = 1_000


class _Call(NamedTuple):
    """A call that is to be corrected."""

    id: str
    member_id: str
    admitted_at: int
    cost_nano: int
    input_tokens: int
    output_tokens: int


class Corrections:
    """Posts corrections of many calls at once."""

    def __init__(
        self, changes: Changes, directory: Directory, ledger: Ledger, database: Database
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._ledger = ledger
        self._database = database

    async def correct_unconfirmed(self, actor: Actor, wish: BulkCorrection) -> CorrectionReport:
        """
        Say what would be corrected; unless it is a dry run, post it.

        Raises:
            InvalidFieldError: A field; more than was charged; too many calls at once.
            NotFoundError: No such group.
            ConflictError: There are other calls than the dry run told, or somebody corrected one meanwhile.
        """
        to_nano = _amount(wish.to_usd)
        reason = reason_of(wish.reason)
        if not wish.dry_run and wish.calls is None:
            raise InvalidFieldError("calls", "expected the number that a dry run told")
        query = self._query(actor, wish)
        await self._ledger.flush()
        calls = await asyncio.to_thread(self._read, query)
        if len(calls) > CALLS_MAX:
            raise InvalidFieldError("since", f"more than {CALLS_MAX:,} calls: state a shorter span")
        charged_nano = sum(call.cost_nano for call in calls)
        if to_nano > charged_nano:
            raise InvalidFieldError(
                "to_usd",
                f"{format_usd(to_nano)} is more than the {format_usd(charged_nano)} that these calls were charged",
            )
        if not wish.dry_run and wish.calls != len(calls):
            raise ConflictError(
                f"These are {len(calls)} calls now, not {wish.calls}: make another dry run."
            )
        shares = spread(to_nano, [call.cost_nano for call in calls])
        if not wish.dry_run:
            await self._post(actor, calls, shares, to_nano, charged_nano, reason)
        return CorrectionReport(
            dry_run=wish.dry_run,
            calls=len(calls),
            charged_usd=usd(charged_nano),
            to_usd=usd(to_nano),
            data=[
                CorrectedCall(
                    request=call.id,
                    at=rfc3339(call.admitted_at),
                    member=call.member_id,
                    charged_usd=usd(call.cost_nano),
                    to_usd=usd(share),
                )
                for call, share in list(zip(calls, shares, strict=True))[:SHOWN_MAX]
            ],
        )

    def _query(self, actor: Actor, wish: BulkCorrection) -> Select[Any]:
        columns = requests.c
        since_us = time_of("since", wish.since)
        until_us = time_of("until", wish.until)
        is_corrected = exists().where(
            entries.c.workspace_id == columns.workspace_id,
            entries.c.request_id == columns.id,
            entries.c.kind == "correction",
        )
        query = (
            select(
                columns.id,
                columns.member_id,
                columns.admitted_at,
                func.coalesce(columns.cost, 0),
                func.coalesce(columns.input_tokens, 0),
                func.coalesce(columns.output_tokens, 0),
            )
            .where(
                columns.workspace_id == self._directory.workspace.id,
                columns.state == "settled",
                columns.flags.contains("unconfirmed"),
                columns.admitted_at >= since_us,
                ~is_corrected,
                *seen_by(actor, columns.group_id),
            )
            .order_by(columns.position)
            .limit(CALLS_MAX + 1)
        )
        if until_us is not None:
            query = query.where(columns.admitted_at < until_us)
        if wish.group is not None:
            query = query.where(columns.group_id == self._directory.group(wish.group, actor).id)
        return query

    def _read(self, query: Select[Any]) -> list[_Call]:
        with self._database.reader() as connection:
            return [_Call(*row) for row in connection.execute(query)]

    async def _post(
        self,
        actor: Actor,
        calls: list[_Call],
        shares: list[int],
        to_nano: int,
        charged_nano: int,
        reason: str,
    ) -> None:
        posted_nano = 0
        for first in range(0, len(calls), CHUNK):
            chunk = list(zip(calls, shares, strict=True))[first : first + CHUNK]
            trues = [(call, _true(call, share, to_nano, charged_nano)) for call, share in chunk]
            try:
                await self._changes.make(actor, partial(self._correct, trues=trues, reason=reason))
            except TuckshopError as error:
                if not first:
                    raise
                rest = usd_text(to_nano - posted_nano)
                raise ConflictError(
                    f"{first} of {len(calls)} corrections were posted, then: {error}. For the rest, make a dry run"
                    f" with to_usd {rest}."
                ) from error
            posted_nano += sum(share for _, share in chunk)

    def _correct(self, edit: Edit, *, trues: list[tuple[_Call, Amounts]], reason: str) -> None:
        ids = [call.id for call, _ in trues]
        corrected = edit.connection.execute(
            select(func.count()).where(
                entries.c.workspace_id == edit.workspace_id,
                entries.c.request_id.in_(ids),
                entries.c.kind == "correction",
            )
        ).scalar_one()
        if corrected:
            raise ConflictError(
                "Some of these calls were corrected meanwhile: make another dry run."
            )
        for call, true in trues:
            self._ledger.correct_in(
                edit.transaction,
                call.id,
                true,
                actor=edit.actor,
                reason=reason,
                workspace_id=edit.workspace_id,
            )
        edit.audit(
            "request.correct",
            ids[0],
            {"calls": len(ids), "cost_nano": sum(call.cost_nano for call, _ in trues)},
            {"last": ids[-1], "cost_nano": sum(true.cost_nano for _, true in trues)},
        )


def spread(total: int, bounds: list[int]) -> list[int]:
    """*total* in proportion to *bounds*, whose sum it is not above: exact in sum, and no part above its bound."""
    whole = sum(bounds)
    assert 0 <= total <= whole
    shares, so_far, given = [], 0, 0
    for bound in bounds:
        so_far += bound
        upto = so_far * total // whole if whole else 0
        shares.append(upto - given)
        given = upto
    return shares


def _true(call: _Call, share: int, to_nano: int, charged_nano: int) -> Amounts:
    """Tokens go down in the same proportion, rounded up: the report that states money tells none per call."""

    def part(tokens: int) -> int:
        return -(-tokens * to_nano // charged_nano) if charged_nano else 0

    return Amounts(
        cost_nano=share,
        input_tokens=part(call.input_tokens),
        output_tokens=part(call.output_tokens),
    )


def _amount(value: Decimal) -> int:
    # The digits are looked at before they are written out: 1e999999 would be a million of them.
    if not value.is_finite() or value < 0 or (value and abs(value.adjusted()) > 12):
        raise InvalidFieldError("to_usd", "expected an amount in US dollars, such as 0 or 1.25")
    try:
        return parse_usd(f"{value:f}" if value else "0")
    except ValueError as error:
        raise InvalidFieldError("to_usd", str(error)) from None
