"""Pages of lists: an opaque cursor that says after which row the next page begins."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Final

from msgspec import Meta

from tuckshop.domain.errors import InvalidFieldError

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000

PageSize = Annotated[int, Meta(ge=1, le=PAGE_MAX)]


def cursor_after(mark: str) -> str:
    """The cursor of the page that begins after *mark*."""
    return base64.urlsafe_b64encode(mark.encode()).decode().rstrip("=")


def mark_of(cursor: str | None) -> str | None:
    """
    After which row the page asked for begins; None: at the beginning.

    Raises:
        InvalidFieldError: Not a cursor that we gave.
    """
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError, ValueError):
        raise InvalidFieldError("cursor", "is not a cursor of this list") from None


def position_of(cursor: str | None) -> int | None:
    """
    The same for lists that are ordered by a number.

    Raises:
        InvalidFieldError: Not a cursor that we gave.
    """
    mark = mark_of(cursor)
    if mark is None:
        return None
    if not mark.isdecimal() or len(mark) > 18:
        raise InvalidFieldError("cursor", "is not a cursor of this list")
    return int(mark)
