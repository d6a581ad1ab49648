"""How numbers of things, and times, are said."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo


def counted(number: int, word: str, words: str | None = None) -> str:
    """A number of things: ``1 key``, ``2 keys``; *words* where the plural is another than with an s."""
    return f"{number:,} {word if number == 1 else words or f'{word}s'}"


def said_to_be(number: int, word: str) -> str:
    """The same as the head of a sentence: ``1 key is``, ``2 keys are``."""
    return f"{counted(number, word)} {'is' if number == 1 else 'are'}"


def local_minute(at: str, zone: str) -> str:
    """
    An RFC 3339 time on the clocks of *zone*, to the minute: ``2026-12-31 18:00``.

    Raises:
        ValueError: It is none.
        OverflowError: It is out of the calendar there.
        ZoneInfoNotFoundError: There is no such zone.
    """
    return f"{datetime.fromisoformat(at).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
