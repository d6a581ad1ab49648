"""Legal holds: what of whom is neither deleted nor read, as long as the law needs it there."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from tuckshop.storage.schema import holds


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldsInForce:
    """Those that nobody has released."""

    groups: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()

    def cover(self, *, group_id: str, member_id: str) -> bool:
        """Is anything of this member held, for themselves or with their group?"""
        return group_id in self.groups or member_id in self.members


def holds_in_force(connection: Connection, workspace_id: str) -> HoldsInForce:
    """Whom nothing may be deleted of."""
    rows = connection.execute(
        select(holds.c.group_id, holds.c.member_id).where(
            holds.c.workspace_id == workspace_id, holds.c.released_at.is_(None)
        )
    ).all()
    return HoldsInForce(
        groups=frozenset(group_id for group_id, member_id in rows if member_id is None),
        members=frozenset(member_id for _, member_id in rows if member_id is not None),
    )
