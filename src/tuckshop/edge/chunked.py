"""
The chunked transfer coding of request bodies, read strictly and within bounds (rule E2).

Ours and not llhttp's, because llhttp reads on into the next request and lets extensions and trailers be of any size.
"""

from __future__ import annotations

import re
from typing import Final

from tuckshop.domain.errors import InvalidRequestError

_SIZE_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,12})((?:[ \t]*;[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+"
    rb"(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|\"[\t !#-\[\]-~]*\"))?)*)"
)
_TRAILER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t -~\x80-\xff]*")
# Fields that frame, route or authenticate must not come after the body (RFC 9110 section 6.5.1).
_FORBIDDEN_TRAILERS: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"host", b"authorization", b"connection", b"trailer"}
)
_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


class ChunkedDecoder:
    """
    Bytes in, body bytes out; the same however they are cut.

    Attributes:
        done: The body has ended. What `feed` did not use belongs to the next request.
    """

    __slots__ = (
        "_extension_max",
        "_left",
        "_line",
        "_state",
        "_trailer_bytes",
        "_trailer_max",
        "done",
    )

    def __init__(self, *, extension_max_bytes: int, trailer_max_bytes: int) -> None:
        self._extension_max = extension_max_bytes
        self._trailer_max = trailer_max_bytes
        self._state = _SIZE
        self._left = 0
        self._line = b""  # a line that has begun and not ended
        self._trailer_bytes = 0
        self.done = False

    def feed(self, data: bytes) -> tuple[list[bytes], int]:
        """
        Take *data*; the pieces of the body in it, and how many of its bytes were used.

        Raises:
            InvalidRequestError: The coding is malformed or its extras are too large.
        """
        pieces: list[bytes] = []
        position, size = 0, len(data)
        while position < size and not self.done:
            if self._state == _DATA:
                piece = data[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _DATA_END
                continue
            line, position = self._take_line(data, position)
            if line is not None:
                self._use_line(line)
        return pieces, position

    def _take_line(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        """The line that ends in *data*, or None; lines end by CR LF and hold neither."""
        end = data.find(b"\n", position)
        stop = end + 1 if end >= 0 else len(data)
        self._line += data[position:stop]
        limit = self._trailer_max if self._state == _TRAILERS else self._extension_max + 16
        if len(self._line) > limit:
            raise InvalidRequestError("a chunk's extension or a trailer field is too long")
        if end < 0:
            if self._state == _DATA_END and self._line != b"\r":
                raise InvalidRequestError("a chunk is longer than it says")
            return None, stop
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise InvalidRequestError("a line of the chunked coding does not end by CR LF")
        return line[:-2], stop

    def _use_line(self, line: bytes) -> None:
        if self._state == _SIZE:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise InvalidRequestError("a chunk's size is not a hexadecimal number")
            self._left = int(match[1], 16)
            self._state = _DATA if self._left else _TRAILERS
        elif self._state == _DATA_END:
            if line:
                raise InvalidRequestError("a chunk is longer than it says")
            self._state = _SIZE
        elif not line:
            self._state = _DONE
            self.done = True
        else:
            self._check_trailer(line)

    def _check_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        match = _TRAILER.fullmatch(line)
        if match is None or match[1].lower() in _FORBIDDEN_TRAILERS:
            raise InvalidRequestError("a trailer field is malformed or may not stand there")
        if self._trailer_bytes > self._trailer_max:
            raise InvalidRequestError("the trailer fields are too long")
