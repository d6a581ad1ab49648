"""
A reply that comes compressed although identity was asked for: made readable, within bounds (section 10).

A client gets what it would have got, and usage can be read. What cannot be decoded, or grows without measure, ends
the call: a small reply must not fill the memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

PIECE_BYTES: Final = 64 << 10
TURN_MAX_BYTES: Final = 4 << 20  # that what is taken in one turn may grow to, 256 times of it
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS  # told apart by their first bytes


class CodingError(Exception):
    """The reply is not what its coding says, or grows too much."""


class Decoder:
    """Decodes one reply, piece by piece."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)

    @property
    def is_complete(self) -> bool:
        """Whether the end of the coding was met."""
        return self._inflate.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        The pieces that *data* stands for.

        Raises:
            CodingError: There are none, or too many.
        """
        grown = 0
        while data:
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise CodingError(str(error)) from error
            data = self._inflate.unconsumed_tail
            grown += len(piece)
            if grown > TURN_MAX_BYTES:
                raise CodingError("it grows too much")
            if piece:
                yield piece
            if self._inflate.unused_data:
                raise CodingError("more comes behind the end of the coding")


def decoder_for(coding: bytes) -> Decoder | None:
    """What reads *coding*; None: nothing here does."""
    return Decoder() if coding.strip().lower() in (b"gzip", b"x-gzip", b"deflate") else None
