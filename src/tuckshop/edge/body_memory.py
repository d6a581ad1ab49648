"""
How much memory request bodies take, and whose they are (E7).

Nobody may shut others out by sending bodies slowly: the beginning of every body counts against the whole alone, what
goes beyond it also against its asker's part, and against the part of all large bodies. So there is room for small ones
however many large ones wait, and for the large ones of others whatever one asker sends.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from tuckshop.domain.errors import ServerBusyError

SMALL_BYTES: Final = 16_384  # of a body; ten thousand connections with so much each leave room
_ASKERS_PART: Final = 2  # half of the whole
_LARGE_PARTS: Final = (3, 4)  # three quarters


class BodyMemory:
    """
    Counts the bytes of all bodies.

    Attributes:
        held: All bytes that are in memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0
        self._large_by: Counter[str] = Counter()
        self._large = 0

    def take(self, asker: str, *, before: int, size: int) -> None:
        """
        Count *size* more bytes of a body of *asker* that had *before*; to be given back even where it raises.

        Raises:
            ServerBusyError: There is no room for them.
        """
        self.held += size
        large = _large(before + size) - _large(before)
        if large:
            self._large += large
            self._large_by[asker] += large
        if self.held > self._max_bytes or (large and self._is_too_much(asker)):
            raise ServerBusyError("too many large bodies are being received")

    def give_back(self, asker: str, size: int) -> None:
        """A body of *asker*, of *size* bytes in all, is no longer in memory."""
        self.held -= size
        large = _large(size)
        if large:
            self._large -= large
            self._large_by[asker] -= large
            if not self._large_by[asker]:
                del self._large_by[asker]

    def _is_too_much(self, asker: str) -> bool:
        parts, of = _LARGE_PARTS
        return (
            self._large_by[asker] > self._max_bytes // _ASKERS_PART
            or self._large > self._max_bytes * parts // of
        )


def _large(size: int) -> int:
    return max(0, size - SMALL_BYTES)
