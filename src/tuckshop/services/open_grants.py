"""What is left of the grants that have not ended, for the most that a group can spend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, func, or_, select

from tuckshop.domain.limits import Limit, Metric, Rolling
from tuckshop.ledger.lifting import MoneyKind
from tuckshop.services.log_search import said
from tuckshop.storage.schema import entries


@dataclass(frozen=True, slots=True)
class OpenGrants:
    """Money that members may spend beyond their limits: to each limit apart, until it is used up or past."""

    amounts: Mapping[str, int] = field(default_factory=dict)  # by member, nano-USD
    taken: Mapping[tuple[str, MoneyKind], int] = field(default_factory=dict)

    def lifted(self, member_id: str, limit: Limit) -> Limit:
        """*limit* of a member as far as their grants let it go: money, per calendar window or in total, alone."""
        if limit.metric is not Metric.MONEY or isinstance(limit.window, Rolling):
            return limit
        gone = self.taken.get((member_id, (limit.kind.selector, limit.kind.window)), 0)
        left = self.amounts.get(member_id, 0) - gone
        return replace(limit, amount=limit.amount + left) if left > 0 else limit


def open_grants(connection: Connection, workspace_id: str, now_us: int) -> OpenGrants:
    """
    Those of all members.

    What a running window takes is not fixed yet, so it is in both: in the window's sum, and left.
    """
    grants, uses = entries.alias(), entries.alias()
    is_open = (
        (grants.c.workspace_id == workspace_id)
        & (grants.c.kind == said("grant"))
        & or_(grants.c.until.is_(None), grants.c.until > now_us)
    )
    amounts: defaultdict[str, int] = defaultdict(int)
    for member_id, amount in connection.execute(
        select(grants.c.scope_id, grants.c.cost).where(is_open)
    ):
        amounts[member_id] += amount
    if not amounts:
        return OpenGrants()
    query = (
        select(uses.c.scope_id, uses.c.selector, uses.c.window, func.sum(uses.c.cost))
        .join_from(
            grants,
            uses,
            (uses.c.workspace_id == grants.c.workspace_id)
            & (uses.c.scope_kind == "member")
            & (uses.c.scope_id == grants.c.scope_id)
            & (uses.c.kind == "grant_use")
            & (uses.c.grant_id == grants.c.id),
        )
        .where(is_open)
        .group_by(uses.c.scope_id, uses.c.selector, uses.c.window)
    )
    taken = {
        (member_id, (selector, window)): int(amount)
        for member_id, selector, window, amount in connection.execute(query)
    }
    return OpenGrants(amounts, taken)
