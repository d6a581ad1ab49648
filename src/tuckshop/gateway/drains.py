"""How many calls are read to their end after their client left: bounded, all together and per member."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainLimits:
    """The most calls at once, and the longest that one is read on."""

    all: int = 200
    per_member: int = 20
    timeout_s: float = 300.0


class Drains:
    """The places for such calls. One that finds no place is cancelled upstream and charged its bound."""

    def __init__(self, limits: DrainLimits) -> None:
        self.limits = limits
        self._by_member: Counter[str] = Counter()
        self._count = 0

    def enter(self, member_id: str) -> bool:
        """Take a place for a call of *member_id*; False: there is none."""
        if self._count >= self.limits.all or self._by_member[member_id] >= self.limits.per_member:
            return False
        self._count += 1
        self._by_member[member_id] += 1
        return True

    def leave(self, member_id: str) -> None:
        """Give the place back."""
        self._count -= 1
        self._by_member[member_id] -= 1
        if not self._by_member[member_id]:
            del self._by_member[member_id]
