"""
What calls of one kind meet, looked up once: the limits of a policy, each with its tally.

A policy hands out the very same tuple of limits to call after call, so most of what admission has to find out about a
call was found out for the one before. What is remembered here holds for one *generation* of the books: they start
another whenever tallies come or go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tuckshop.domain.reservation import Hold, LimitInForce
from tuckshop.ledger.tallies import Covered, Tally

Meeting: TypeAlias = tuple[str, str, str, str, Covered]  # workspace, group, member, key, and what


@dataclass(slots=True, eq=False)
class Lineup:
    """The limits that such calls meet, and what they take from."""

    limits: tuple[LimitInForce, ...]
    meeting: Meeting
    generation: int
    tallies: tuple[Tally, ...]  # of each of `limits`
    places: tuple[tuple[Tally, int, int], ...]  # of each of `limits`: tally, its slot, the amount
    once: tuple[
        Tally, ...
    ]  # `tallies`, each but once: limits that differ in their amount share one
    liftable: tuple[int, ...]  # places of `limits` that a grant or carried money may lift
    has_others: bool  # such calls also count in kinds that their policy does not use (any more)


def meeting_of(hold: Hold) -> Meeting:
    """What tells whose tallies a call meets, and which."""
    return (
        hold.workspace_id,
        hold.group_id,
        hold.member_id,
        hold.key_id,
        (hold.model, hold.model_aliases, hold.endpoint_group),
    )
