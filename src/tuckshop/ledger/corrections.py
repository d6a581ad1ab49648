"""Corrections: the late truth about a call, as a row of its own that names the first one (M7)."""

from __future__ import annotations

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import ConflictError, NotFoundError
from tuckshop.domain.ids import new_id
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger import store
from tuckshop.ledger.arithmetic import NOTHING
from tuckshop.ledger.contributions import ROW_COLUMNS, Row, correction_vector, counts_after
from tuckshop.ledger.engine import Engine
from tuckshop.ledger.open_rows import OpenRow, scope_chain
from tuckshop.ledger.operations import Correction
from tuckshop.ledger.sums import last_reset, resets_of
from tuckshop.ledger.tallies import aliases_of
from tuckshop.storage.audit import actor_text
from tuckshop.storage.transaction import Transaction


def correct(
    engine: Engine,
    transaction: Transaction,
    *,
    workspace_id: str,
    request_id: str,
    true: Amounts,
    actor: Actor,
    reason: str,
) -> Correction:
    """
    Post the difference between what is charged for a settled call so far and what it *truly* used.

    So the sum for a call is never below 0. The system corrects a call at most once; staff may do it again.
    """
    if min(true.cost_nano, true.input_tokens, true.output_tokens) < 0:
        raise ValueError("nobody uses less than nothing")
    engine.join(transaction)
    cursor = transaction.cursor
    found = cursor.execute(
        f"SELECT {ROW_COLUMNS}, endpoint FROM requests WHERE workspace_id = ? AND id = ?",  # noqa: S608 - constants
        (workspace_id, request_id),
    ).fetchone()
    if found is None:
        raise NotFoundError(
            f"There is no request {request_id!r}. What is older than its group's `log_days` is only in sums, and can no"
            " longer be corrected."
        )
    row, endpoint = Row._make(found[:-1]), str(found[-1])
    if row.state != "settled":
        raise ConflictError(
            f"request {request_id} is {row.state}: only a settled one can be corrected"
        )
    before = cursor.execute(
        "SELECT cost, input_tokens, output_tokens, actor FROM entries"
        " WHERE workspace_id = ? AND request_id = ? AND kind = 'correction'",
        (workspace_id, request_id),
    ).fetchall()
    who = actor_text(actor)
    if actor.kind == "system" and any(by == who for *_, by in before):
        raise ConflictError(f"request {request_id} was corrected by the system before")
    charged = (row.cost or 0, row.input_tokens or 0, row.output_tokens or 0)
    now = [sum(values) for values in zip(charged, *(entry[:3] for entry in before), strict=True)]
    added = (
        true.cost_nano - now[0],
        true.input_tokens - now[1],
        true.output_tokens - now[2],
    )
    position = transaction.next_position(workspace_id)
    cursor.execute(
        store.INSERT_ENTRY,
        (
            workspace_id,
            new_id("ent", transaction.now_us),
            position,
            transaction.now_us,
            "correction",
            request_id,
            None,
            None,
            None,
            *added,
            who,
            reason,
        ),
    )
    _move(engine, workspace_id, row, endpoint, added)
    engine.books.flush()
    return Correction(
        request_id=request_id,
        position=position,
        added_cost_nano=added[0],
        added_input_tokens=added[1],
        added_output_tokens=added[2],
    )


def _move(
    engine: Engine, workspace_id: str, row: Row, endpoint: str, added: tuple[int, int, int]
) -> None:
    """Counters and roll-up follow, except where a reset came after the call: there it counts nothing any more."""
    books = engine.books
    vector = correction_vector(*added)
    covered = (row.model, aliases_of(row.model_aliases), row.endpoint_group)
    for key in scope_chain(workspace_id, row.key_id, row.member_id, row.group_id):
        resets = resets_of(books.transaction.cursor, key)
        for tally in books.counters.scope(key).covering(covered):
            counter = tally.counter_at(row.admitted_at)
            if counter is None or not vector[tally.slot]:
                continue
            if counts_after(row, last_reset(tally.kind.window, counter.end_us, resets)):
                books.counters.add(counter, vector[tally.slot], 0)
    books.roll_up(
        OpenRow(
            workspace_id,
            row.id,
            row.position,
            row.admitted_at,
            "",
            row.group_id,
            row.member_id,
            row.key_id,
            endpoint,
            covered,
            0,
            0,
            0,
            0,
            frozenset(),
        ),
        0,
        Amounts(cost_nano=added[0], input_tokens=added[1], output_tokens=added[2]),
    )
    assert vector != NOTHING or not any(added)
