"""Grants: money that staff add to a member's own money limits, and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuckshop.domain.actor import Actor
from tuckshop.domain.ids import new_id
from tuckshop.domain.reservation import LimitInForce
from tuckshop.ledger import store
from tuckshop.ledger.arithmetic import MONEY
from tuckshop.ledger.engine import Engine
from tuckshop.ledger.lifting import GrantLine
from tuckshop.ledger.sums import Unsummed
from tuckshop.storage.audit import actor_text
from tuckshop.storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class GrantsOfMember:
    """The grants of a member, and what limits have left of those that have not ended."""

    grants: tuple[GrantLine, ...]  # oldest first
    left: Mapping[str, tuple[tuple[LimitInForce, int], ...]]  # by grant
    now_us: int


def grant(
    engine: Engine,
    transaction: Transaction,
    *,
    workspace_id: str,
    member_ids: Sequence[str],
    amount_nano: int,
    until_us: int | None,
    actor: Actor,
    reason: str | None,
) -> list[str]:
    """
    Add *amount_nano* to the money limits of each of these members, to each limit apart; their ids.

    Whoever waits for room in one of these limits has another try.
    """
    engine.join(transaction)
    counters, lifts = engine.books.counters, engine.books.lifts
    made: list[str] = []
    for number, member_id in enumerate(member_ids):
        scope_key = (workspace_id, "member", member_id)
        # Ids sort in the order they were given.
        made.append(new_id("ent", transaction.now_us + number))
        transaction.cursor.execute(
            store.INSERT_GRANT,
            (
                workspace_id,
                made[-1],
                transaction.next_position(workspace_id),
                transaction.now_us,
                member_id,
                amount_nano,
                until_us,
                actor_text(actor),
                reason,
            ),
        )
        lifts.forget(scope_key)
        for tally in counters.scope(scope_key).tallies.values():
            if tally.slot == MONEY:
                counters.freed.add(tally.key)
    return made


def grants_of(
    engine: Engine,
    transaction: Transaction,
    *,
    workspace_id: str,
    member_id: str,
    limits: Sequence[LimitInForce],
) -> GrantsOfMember | Unsummed:
    """
    The grants of a member, by what is left for each of *limits*, which are the member's.

    Or what has to be summed before that can be told.
    """
    engine.join(transaction)
    books = engine.books
    liftable = [limit for limit in limits if limit.is_liftable]
    tallies = books.tallies_of(liftable, workspace_id, member_id)
    if isinstance(tallies, Unsummed):
        return tallies
    books.flush()
    left: dict[str, tuple[tuple[LimitInForce, int], ...]] = {}
    for limit, tally in zip(liftable, tallies, strict=True):
        for grant_id, amount in books.lifts.look(limit, tally).lefts:
            left[grant_id] = (*left.get(grant_id, ()), (limit, amount))
    account = books.lifts.account((workspace_id, "member", member_id))
    oldest_first = tuple(sorted(account.grants, key=lambda one: one.id))
    return GrantsOfMember(oldest_first, left, transaction.now_us)
