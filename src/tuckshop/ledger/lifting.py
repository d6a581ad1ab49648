"""
Grants and what is carried over, as pure arithmetic over one member and one money limit, a *kind* of which is counted.

A counter knows nothing of either: it says what a window spent, used and held together. Beside it stands the window's
*ground*: what it may spend without a grant, which is the amount and what was carried into it. What is spent above its
ground is the grants' money, the one that ends first before the others.

Four kinds of entries keep that, all append-only and all written in the transaction of a call that is admitted:

- `carry`: what a window took over, once, when it is first met;
- `ground`: of the window that runs, when it is first met and whenever it is another than before. It follows the amount,
  but is never less than what the window spent by itself: lowering a limit takes nothing from a grant afterwards;
- `grant_use`: what a grant gave, once that is over: the window has ended, the grant has, or the member is reset.

Until then a grant's use is not written anywhere: it is what is spent above the ground now, and a settlement that turns
out cheaper gives it back without a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from tuckshop.domain.money import MAX_NANO_USD

ENDLESS: Final = 2**63 - 1  # the end of a grant that has none

MoneyKind: TypeAlias = tuple[str, str]  # canonical selector, window


class GrantLine(NamedTuple):
    """A grant, as its entry says."""

    id: str
    at_us: int
    until_us: int
    amount: int
    reason: str | None = None


class Mark(NamedTuple):
    """The last `ground` or `carry` of a kind: of which window, how much, and when it was written."""

    start_us: int
    end_us: int  # of the window
    amount: int
    at_us: int


class Use(NamedTuple):
    """What a grant gave to a window."""

    grant_id: str
    start_us: int
    amount: int


@dataclass(slots=True)
class Account:
    """What the entries say of one member."""

    grants: list[GrantLine] = field(
        default_factory=list
    )  # the one that ends first before the others
    taken: dict[tuple[str, MoneyKind], int] = field(default_factory=dict)  # by grant, and kind
    grounds: dict[MoneyKind, Mark] = field(default_factory=dict)
    carried: dict[MoneyKind, Mark] = field(default_factory=dict)

    def left(self, grant: GrantLine, kind: MoneyKind) -> int:
        """What nobody has taken from *grant* for limits of *kind*, what runs now apart."""
        return grant.amount - self.taken.get((grant.id, kind), 0)


def in_order(grants: Iterable[GrantLine]) -> list[GrantLine]:
    """The one that ends first before the others, of several the oldest."""
    return sorted(grants, key=lambda grant: (grant.until_us, grant.at_us, grant.id))


def spread(
    excess: int, grants: Iterable[GrantLine], left: Mapping[str, int]
) -> Iterator[tuple[GrantLine, int]]:
    """Who gives how much of *excess*. What all of them together do not have is nobody's."""
    for grant in grants:
        if excess <= 0:
            return
        part = min(excess, left[grant.id])
        if part > 0:
            excess -= part
            yield grant, part


def owed_by(grants: Sequence[GrantLine], mark: Mark, *, now_us: int = ENDLESS) -> list[GrantLine]:
    """
    The grants that have to account for what a window spent above its ground, when that is fixed.

    Of a window that has ended: all that were there in it, and had not ended when its ground was written, as then they
    were accounted for. Of one that runs, with *now_us*: those that have ended since.
    """
    return [
        grant
        for grant in grants
        if grant.at_us < mark.end_us and mark.at_us < grant.until_us <= now_us
    ]


class Ground(NamedTuple):
    """Where a window stands that was met again."""

    amount: int
    above: int  # of what is spent, so much is the grants'


def ground_of(floor: int, spent: int, before: int | None, ended: int = 0) -> Ground:
    """
    The ground of a window that has *spent* so much, used and held.

    Args:
        floor: The amount as it is now, and what was carried over.
        before: The ground as it was written last; None: grants and the like begin to matter only now, so what was
            spent before is none of theirs.
        ended: What grants gave that have ended since: from now on the window has spent that by itself.
    """
    own = spent if before is None else min(spent, before) + ended
    amount = min(max(floor, own), MAX_NANO_USD)
    return Ground(amount, max(0, spent - amount))


def carried_on(left: int, most: int, amount: int, empty_windows: Iterable[object]) -> int:
    """
    What reaches a window when the one that was met last had *left* so much, and nobody called in those between.

    They hand on their own *amount* and what they were handed, never more than *most*.
    """
    carried = min(most, max(0, left))
    for _ in empty_windows:
        if carried >= most or not amount:
            break
        carried = min(most, carried + amount)
    return carried
