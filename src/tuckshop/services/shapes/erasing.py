"""Erasing people: who, why, and what was taken out."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tuckshop.services.shapes.parts import Sent, Shown

Reason = Annotated[
    str, Meta(description="Why, for whoever asks later. It stays, so it must not name the person.")
]


class MemberErasure(Sent, frozen=True, kw_only=True):
    """Why somebody is erased."""

    reason: Reason
    dry_run: bool = False


class GroupErasure(Sent, frozen=True, kw_only=True):
    """Why everybody of a group is erased; `confirm` repeats the group's name, except in a dry run."""

    reason: Reason
    confirm: str | None = None
    dry_run: bool = False


class ErasedMember(Shown, frozen=True, kw_only=True):
    """One of the members that a person is: one in each of their groups."""

    member: str
    group: str


class ErasureReport(Shown, frozen=True, kw_only=True):
    """
    What was taken out or made nameless, or in a dry run would be.

    `running`: their calls that still run; what these leave is erased when they end. `left`: members of the group who
    are not erased yet, since a call erases some at a time: repeat it until none is. `copies`: files beside the ledger
    that an upgrade or a restore left, which hold it as it was; whoever has no use for them deletes them.
    """

    dry_run: bool
    data: list[ErasedMember]
    keys: int
    claims: int
    mails: int
    flags: int
    requests: int
    bodies: int
    running: int
    left: int
    copies: list[str]
