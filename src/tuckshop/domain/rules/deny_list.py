"""Words that a group does not send: whole words, or several in a row, whatever their case and decoration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from tuckshop.domain.rules.folding import folded

# Letters and digits. Whatever else stands between them divides words.
_WORD: Final = re.compile(r"[^\W_]+")
PHRASE_MAX_WORDS: Final = 8
_BATCH_WORDS: Final = 50_000  # of a large text are in memory at once


def words_of(entry: str) -> tuple[str, ...]:
    """The words of an entry of the list, as they are compared."""
    return tuple(_WORD.findall(folded(entry)))


class DenyList:
    """Entries of `words_of`. Looking costs one set per length of entry, however many there are."""

    def __init__(self, entries: Iterable[str]) -> None:
        phrases: dict[int, set[tuple[str, ...]]] = {}
        for words in map(words_of, entries):
            phrases.setdefault(len(words), set()).add(words)
        self._single = frozenset(words[0] for words in phrases.pop(1, ()))
        self._phrases = phrases
        self._most = max(phrases, default=1)

    def is_in(self, text: str) -> bool:
        """Does any of them stand in *text*?"""
        found = _WORD.finditer(folded(text))
        before: list[str] = []
        while words := [one[0] for one in islice(found, _BATCH_WORDS)]:
            if not self._single.isdisjoint(words):
                return True
            if self._phrases:
                words = before + words
                if self._has_phrase(words):
                    return True
                before = words[-(self._most - 1) :]
        return False

    def _has_phrase(self, words: list[str]) -> bool:
        return any(
            not phrases.isdisjoint(zip(*(words[shift:] for shift in range(length)), strict=False))
            for length, phrases in self._phrases.items()
        )
