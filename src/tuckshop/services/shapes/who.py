"""Whose pseudonym it is."""

from __future__ import annotations

from tuckshop.domain.records import State
from tuckshop.services.shapes.parts import Sent, Shown


class Asked(Sent, frozen=True, kw_only=True):
    """A pseudonym as the provider shows it, and why somebody wants to know whose it is."""

    pseudonym: str
    reason: str


class Whose(Shown, frozen=True, kw_only=True):
    """The member."""

    member: str
    group: str
    group_name: str
    external_id: str
    name: str | None
    email: str | None
    state: State
