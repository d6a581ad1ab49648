"""Resets, which start running windows afresh, and counters of kinds that nobody uses any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tuckshop.domain.actor import Actor
from tuckshop.domain.ids import new_id
from tuckshop.domain.limits import Limit, LimitKind
from tuckshop.domain.reservation import Scope
from tuckshop.ledger import store
from tuckshop.ledger.arithmetic import Vector
from tuckshop.ledger.books import Books
from tuckshop.ledger.contributions import open_vectors
from tuckshop.ledger.engine import Engine
from tuckshop.ledger.open_rows import OpenRow
from tuckshop.ledger.tallies import Counter, ScopeKey, Tally, kind_of
from tuckshop.storage.audit import actor_text
from tuckshop.storage.rows import limits_of_text
from tuckshop.storage.transaction import Transaction

_LIMIT_COLUMNS: Final = (
    "SELECT limits FROM workspaces WHERE id = ?",
    "SELECT DISTINCT each_limits FROM groups WHERE workspace_id = ?",
    "SELECT DISTINCT shared_limits FROM groups WHERE workspace_id = ?",
    "SELECT DISTINCT limits FROM members WHERE workspace_id = ?",
    "SELECT DISTINCT limits FROM keys WHERE workspace_id = ?",
)


def reset(
    engine: Engine,
    transaction: Transaction,
    *,
    workspace_id: str,
    scopes: Sequence[Scope],
    actor: Actor,
    with_total: bool,
) -> None:
    """
    Start the running windows of *scopes* at 0 plus what running calls hold; `total` only *with_total*.

    One row per scope says so: what was resolved before its position counts no more, at that scope.
    """
    engine.join(transaction)
    books = engine.books
    running = _running_by_scope(books)
    for scope in scopes:
        scope_key = (workspace_id, scope.kind, scope.id)
        if scope.kind == "member":
            books.lifts.settle_before_reset(scope_key, with_total=with_total)
        position = transaction.next_position(workspace_id)
        transaction.cursor.execute(
            store.INSERT_ENTRY,
            (
                workspace_id,
                new_id("ent", transaction.now_us),
                position,
                transaction.now_us,
                "reset",
                None,
                scope.kind,
                scope.id,
                with_total,
                None,
                None,
                None,
                actor_text(actor),
                None,
            ),
        )
        rows = running.get(scope_key, [])
        for tally in books.counters.scope(scope_key).tallies.values():
            if with_total or tally.kind.window != "total":
                _start_afresh(books, tally, rows, transaction.now_us)
            books.counters.freed.add(tally.key)
    books.flush()


def forget_kinds(engine: Engine, transaction: Transaction, *, workspace_id: str) -> None:
    """Delete the counters of kinds that no limit of the workspace names."""
    engine.join(transaction)
    cursor = transaction.cursor
    named: set[LimitKind] = {limit.kind for limit in limits_in_force(cursor, workspace_id)}
    present = cursor.execute(
        'SELECT DISTINCT metric, selector, "window" FROM counters WHERE workspace_id = ?',
        (workspace_id,),
    ).fetchall()
    for metric, selector, window in present:
        if kind_of(metric, selector, window) not in named:
            cursor.execute(
                "DELETE FROM counters WHERE workspace_id = ? AND metric = ? AND selector = ?"
                ' AND "window" = ?',
                (workspace_id, metric, selector, window),
            )
    engine.books.drop_counters()


def limits_in_force(cursor: sqlite3.Cursor, workspace_id: str) -> Iterator[Limit]:
    """Every limit that is written down anywhere in the workspace; equal ones more than once."""
    for query in _LIMIT_COLUMNS:
        for (text,) in cursor.execute(query, (workspace_id,)).fetchall():
            yield from limits_of_text(text)


def _running_by_scope(books: Books) -> Mapping[ScopeKey, list[OpenRow]]:
    found: dict[ScopeKey, list[OpenRow]] = {}
    for row in books.open.values():
        for key in row.scope_keys:
            found.setdefault(key, []).append(row)
    return found


def _start_afresh(books: Books, tally: Tally, rows: Sequence[OpenRow], now_us: int) -> None:
    """Leave in the counters of *tally* that run now only what *rows* put there, which are still open."""
    running = [
        counter
        for counter in tally.counters.values()
        if counter.start_us <= now_us < counter.end_us
    ]
    left: dict[Counter, int] = dict.fromkeys(running, 0)
    for row in rows:
        counter = tally.counter_at(row.admitted_at)
        if counter in left and tally.selector.covers(*row.covered):
            left[counter] += _used_while_open(row)[tally.slot]
    for counter, used in left.items():
        if counter.used != used:
            books.counters.add(counter, used - counter.used, 0)


def _used_while_open(row: OpenRow) -> Vector:
    used, _ = open_vectors(row.held_cost, row.held_input_tokens, row.held_output_tokens, row.images)
    return used
