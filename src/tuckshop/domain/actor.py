"""Who does something: every service call takes an Actor. The audit trail keeps who it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ActorKind = Literal["operator", "token", "member", "cli", "system"]
StaffRole = Literal["viewer", "assistant", "owner", "operator"]

# Each may what those before it may.
STAFF_ROLES: Final[tuple[StaffRole, ...]] = ("viewer", "assistant", "owner", "operator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The one who acts, from where, and how far. Unless said, it is no staff and sees nothing."""

    kind: ActorKind
    id: str | None = None  # the token's or the member's; None for operator, cli and system
    role: StaffRole | None = None
    groups: frozenset[str] | None = frozenset()  # the ids of those it sees; None: all of them

    def sees(self, group_id: str) -> bool:
        """Whether objects of this group exist as far as the actor can tell (K5)."""
        return self.groups is None or group_id in self.groups

    def is_at_least(self, role: StaffRole) -> bool:
        """Whether it may what *role* may."""
        return self.role is not None and STAFF_ROLES.index(self.role) >= STAFF_ROLES.index(role)


OPERATOR: Final = Actor(kind="operator", role="operator", groups=None)
SYSTEM: Final = Actor(kind="system", role="operator", groups=None)
