"""At the start: every reservation has an end, though the process that made it has none to tell (R1, R4)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from tuckshop.domain.reservation import Amounts, Outcome, ReservationState
from tuckshop.ledger.books import Books

_log: Final = logging.getLogger(__name__)
CHUNK: Final = 500  # rows that are written together


def settle_leftovers(books: Books, boot_id: str) -> int:
    """
    Charge what earlier boots left open at its bound, flagged `unconfirmed`: it may have reached the upstream (M4, M9).

    Rows, counters and roll-up change together, in the transaction that is open.
    """
    left = [row for row in books.open.values() if row.owner != boot_id]
    for number, row in enumerate(left, 1):
        books.close(
            row,
            ReservationState.SETTLED,
            charged=Amounts(
                cost_nano=row.held_cost,
                input_tokens=row.held_input_tokens,
                output_tokens=row.held_output_tokens,
                images=row.images,
            ),
            cached_tokens=0,
            outcome=Outcome(http_status=None, error="server_stopped"),
            flags=frozenset({"unconfirmed"}),
        )
        if number % CHUNK == 0:
            books.flush()
    books.flush()
    if left:
        _log.warning(
            "%d calls were running when the server stopped; charged their bounds", len(left)
        )
    return len(left)


def give_back(books: Books, request_ids: Iterable[str]) -> None:
    """
    Void what was granted in a transaction that may have been written, though everybody was told that it failed.

    That is the proof: nobody dispatched anything (M3, M10).
    """
    for request_id in request_ids:
        row = books.open.get(request_id)
        if row is not None:
            books.close(
                row,
                ReservationState.VOIDED,
                charged=None,
                cached_tokens=0,
                outcome=Outcome(http_status=503, error="server_busy"),
                flags=frozenset(),
            )
    books.flush()
