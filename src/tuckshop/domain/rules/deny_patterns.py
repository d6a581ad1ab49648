"""
Regular expressions of a group's own, by RE2: in time proportional to the text, whatever the pattern.

RE2 is an extra (`tuckshop[re2]`). Python's own engine is never given a pattern that somebody sent (K7): there are
patterns that it tries for hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tuckshop.domain.rules.folding import visible

INSTALL: Final = "pip install 'tuckshop[re2]'"
# Steps per character at the very worst. A class such as \p{L} has 1,200; a word has about as many as letters.
PROGRAM_MAX: Final = 4_000
_MEMORY_BYTES: Final = 4 << 20


class PatternError(ValueError):
    """A pattern cannot be taken; `place` is its number."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


class DenyPatterns:
    """Compiled patterns."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """
        Raises:
            PatternError: One is no pattern of RE2, or all of them together are too much; or RE2 is not installed.
        """
        self._patterns: list[Any] = []
        size = 0
        for place, pattern in enumerate(patterns):
            compiled = _compiled(pattern, place)
            size += compiled.programsize
            if size > PROGRAM_MAX:
                raise PatternError(
                    "with it the patterns are too much work: make them shorter", place
                )
            self._patterns.append(compiled)

    def is_in(self, text: str) -> bool:
        """Does any of them match in *text*, as it looks?"""
        if not self._patterns:
            return False
        data = visible(text).encode()
        return any(pattern.search(data) for pattern in self._patterns)


def _compiled(pattern: str, place: int) -> Any:
    try:
        import re2
    except ImportError:
        raise PatternError(
            f"needs RE2, which is not installed here: {INSTALL}, then start the server again; deny_words need nothing",
            place,
        ) from None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        said = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        raise PatternError(f"is not a pattern of RE2: {said}", place) from None
