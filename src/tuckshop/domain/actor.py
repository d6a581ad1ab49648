"""Who does something: every service call takes an Actor, and the audit trail keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["operator", "token", "member", "cli", "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The one who acts, and from where."""

    kind: ActorKind
    id: str | None = None  # the token's or the member's; None for operator, cli and system


OPERATOR = Actor(kind="operator")
SYSTEM = Actor(kind="system")
