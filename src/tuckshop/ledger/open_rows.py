"""Reservations that are not resolved yet, as memory holds them and as they are read from the database."""

from __future__ import annotations

from typing import NamedTuple

from tuckshop.domain.reservation import Flag
from tuckshop.ledger import store
from tuckshop.ledger.tallies import Counter, Covered, ScopeKey, aliases_of
from tuckshop.storage.transaction import Transaction


class OpenRow(NamedTuple):
    """A reservation that is not resolved yet."""

    workspace_id: str
    id: str
    position: int
    admitted_at: int
    owner: str
    group_id: str
    member_id: str
    key_id: str
    endpoint: str
    covered: Covered
    held_cost: int
    held_input_tokens: int
    held_output_tokens: int
    images: int
    flags: frozenset[Flag]
    # What it counts in, as long as the books are of this generation; otherwise that has to be looked up.
    counters: tuple[Counter, ...] = ()
    generation: int = 0

    @property
    def scope_keys(self) -> tuple[ScopeKey, ...]:
        """The chain of scopes that it counts at."""
        return scope_chain(self.workspace_id, self.key_id, self.member_id, self.group_id)


def scope_chain(
    workspace_id: str, key_id: str, member_id: str, group_id: str
) -> tuple[ScopeKey, ScopeKey, ScopeKey, ScopeKey]:
    """The scopes of a call, narrow ones first."""
    return (
        (workspace_id, "key", key_id),
        (workspace_id, "member", member_id),
        (workspace_id, "group", group_id),
        (workspace_id, "workspace", workspace_id),
    )


def read_open(transaction: Transaction) -> list[OpenRow]:
    """Every reservation that is not resolved, of whatever boot, oldest first."""
    cursor = transaction.cursor
    found: list[OpenRow] = []
    for (workspace_id,) in cursor.execute("SELECT id FROM workspaces").fetchall():
        for values in cursor.execute(store.OPEN_REQUESTS, (workspace_id,)).fetchall():
            group, model, aliases, *held, images, flags = values[9:]
            covered = (model, aliases_of(aliases), group)
            unknown: tuple[Counter, ...] = ()
            found.append(
                OpenRow._make(
                    (*values[:9], covered, *held, images, frozenset(flags.split()), unknown, 0)
                )
            )
    return found
