"""
The chunked transfer coding of request bodies, read strictly and within bounds (rule E2).

Ours and not llhttp's, because llhttp reads on into the next request and lets extensions and trailers be of any size.
What a chunk says of its size counts when it says it, so nobody waits for a chunk that will be too much.
"""

from __future__ import annotations

import re
from typing import Final

from tuckshop.domain.errors import InvalidRequestError, RequestTooLargeError

_SIZE_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+"
    rb"(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|\"[\t !#-\[\]-~]*\"))?)*)"
)
_TRAILER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t -~\x80-\xff]*")
# Fields that frame, route or authenticate must not come after the body (RFC 9110 section 6.5.1).
_FORBIDDEN_TRAILERS: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"host", b"authorization", b"connection", b"trailer"}
)
LINES_A_FEED: Final = (
    4_096  # some milliseconds' work; a read of one-byte chunks has a hundred thousand
)
# Besides as many bytes as the body has: who sends single bytes in chunks of six is no client of ours.
FRAMING_MAX_BYTES: Final = 65_536
_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


class ChunkedDecoder:
    """
    Bytes in, body bytes out; the same however they are cut.

    Attributes:
        done: The body has ended. What `feed` did not use belongs to the next request.
    """

    __slots__ = (
        "_body_bytes",
        "_body_max",
        "_extension_max",
        "_framing_bytes",
        "_left",
        "_line",
        "_state",
        "_trailer_bytes",
        "_trailer_max",
        "done",
    )

    def __init__(
        self, *, body_max_bytes: int, extension_max_bytes: int, trailer_max_bytes: int
    ) -> None:
        self._body_max = body_max_bytes
        self._extension_max = extension_max_bytes
        self._trailer_max = trailer_max_bytes
        self._state = _SIZE
        self._left = 0
        self._line = b""  # a line that has begun and not ended
        self._trailer_bytes = 0
        self._framing_bytes = 0  # of the lines between the data
        self._body_bytes = 0  # as stated by the chunks that have begun
        self.done = False

    def feed(self, data: bytes) -> tuple[list[bytes], int]:
        """
        Take *data*; the pieces of the body in it, and how many of its bytes were used.

        Not all of them where the body ends among them, or where they are so many small chunks that others on the loop
        should have their turn first: then feed the rest later.

        Raises:
            InvalidRequestError: The coding is malformed or its extras are too large.
            RequestTooLargeError: The chunks come to more than the body may have.
        """
        pieces: list[bytes] = []
        position, size = 0, len(data)
        lines = LINES_A_FEED
        while position < size and lines and not self.done:
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
                lines -= 1
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
            self._count(len(line))
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

    def _count(self, line_bytes: int) -> None:
        self._body_bytes += self._left
        if self._body_bytes > self._body_max:
            raise RequestTooLargeError(self._body_max)
        self._framing_bytes += line_bytes + 4  # its own line end, and the data's
        if self._framing_bytes > FRAMING_MAX_BYTES + self._body_bytes:
            raise InvalidRequestError("its chunks are more framing than body")

    def _check_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        match = _TRAILER.fullmatch(line)
        if match is None or match[1].lower() in _FORBIDDEN_TRAILERS:
            raise InvalidRequestError("a trailer field is malformed or may not stand there")
        if self._trailer_bytes > self._trailer_max:
            raise InvalidRequestError("the trailer fields are too long")
