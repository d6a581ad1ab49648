"""What a query finds: rows of the caller's groups alone, and text as it stands, whatever signs it holds (K5, K7)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import ColumnElement, false, or_

from tuckshop.domain.actor import Actor

SearchText = Annotated[str, Meta(max_length=200)]  # databases take no patterns of any length


def seen_by(actor: Actor, group_id: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """The terms that leave of a query's rows those that the actor sees, by the column of their group."""
    return [] if actor.groups is None else [group_id.in_(sorted(actor.groups))]


def contains(columns: tuple[ColumnElement[Any], ...], words: str) -> ColumnElement[bool]:
    """Whether any of *columns* holds *words*, `%` and `_` taken as themselves."""
    if "\0" in words:
        return false()  # no text here holds one, and SQLite's patterns end at it
    return or_(*(column.icontains(words, autoescape=True) for column in columns))
