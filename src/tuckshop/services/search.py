"""Searching text literally: what is typed is looked for as it stands, whatever signs it holds (K5, K7)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import ColumnElement, false, or_

SearchText = Annotated[str, Meta(max_length=200)]  # databases take no patterns of any length


def contains(columns: tuple[ColumnElement[Any], ...], words: str) -> ColumnElement[bool]:
    """Whether any of *columns* holds *words*, `%` and `_` taken as themselves."""
    if "\0" in words:
        return false()  # no text here holds one, and SQLite's patterns end at it
    return or_(*(column.icontains(words, autoescape=True) for column in columns))
