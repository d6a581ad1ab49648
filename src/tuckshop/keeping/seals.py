"""How contents are closed and opened: with a key per person, bound to the request."""

from __future__ import annotations

from typing import Protocol

from tuckshop.keeping.kept_body import Content, KeptBody, unpack


class Seals(Protocol):
    """Closes and opens with a key per person. May be called from any thread."""

    def seal(self, member_id: str, data: bytes, *, place: str) -> bytes:
        """*data*, closed; raises StoreError where the person's key is destroyed, or cannot be had."""

    def open(self, member_id: str, sealed: bytes, *, place: str) -> bytes:
        """What `seal` closed at the same *place*; raises StoreError where it does not open."""


def seal_body(seals: Seals, body: KeptBody, packed: bytes) -> bytes:
    """
    A packed content, closed.

    Raises:
        StoreError: The person's key is destroyed, or cannot be had.
    """
    return seals.seal(body.member_id, packed, place=_place_of(body))


def open_body(seals: Seals, body: KeptBody, sealed: bytes) -> Content:
    """
    What was said.

    Raises:
        StoreError: It does not open.
        ValueError: It is not whole.
    """
    return unpack(seals.open(body.member_id, sealed, place=_place_of(body)))


def _place_of(body: KeptBody) -> str:
    """Where a content stands: it opens nowhere else."""
    return f"bodies/{body.workspace_id}/{body.request_id}"
