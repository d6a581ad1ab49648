"""How numbers of things are said."""

from __future__ import annotations


def counted(number: int, word: str, words: str | None = None) -> str:
    """A number of things: ``1 key``, ``2 keys``; *words* where the plural is another than with an s."""
    return f"{number:,} {word if number == 1 else words or f'{word}s'}"


def said_to_be(number: int, word: str) -> str:
    """The same as the head of a sentence: ``1 key is``, ``2 keys are``."""
    return f"{counted(number, word)} {'is' if number == 1 else 'are'}"
