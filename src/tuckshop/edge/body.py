"""
The body of one request as it comes: its framing, its bounds, its deadline (E1, E2).

It is told how long its body may take when it begins; a body of stated length has time by that, a chunked one by what
has come of it.
"""

from __future__ import annotations

from collections.abc import Callable

from tuckshop.domain.errors import RequestTooLargeError
from tuckshop.edge.chunked import ChunkedDecoder
from tuckshop.edge.head import RequestHead
from tuckshop.edge.limits import EdgeLimits


class IncomingBody:
    """
    Takes bytes until the body is whole.

    Args:
        max_bytes: More is refused.
        charge: Told of every byte that is kept; may refuse it. None: nothing is kept, the request was refused.
        began_at: On the loop's clock.
    Attributes:
        is_whole: All of it has come. What `feed` gives back then belongs to the next request.
    """

    __slots__ = (
        "_began_at",
        "_charge",
        "_decoder",
        "_kept",
        "_left",
        "_limits",
        "_max_bytes",
        "_received",
        "_size",
        "is_whole",
    )

    def __init__(
        self,
        head: RequestHead,
        *,
        max_bytes: int,
        limits: EdgeLimits,
        charge: Callable[[int], None] | None,
        began_at: float,
    ) -> None:
        self._max_bytes = max_bytes
        self._limits = limits
        self._charge = charge
        self._began_at = began_at
        self._size = self._left = head.content_length
        self._received = 0
        self._kept = bytearray()
        self._decoder: ChunkedDecoder | None = None
        if head.chunked:
            self._decoder = ChunkedDecoder(
                body_max_bytes=max_bytes,
                extension_max_bytes=limits.chunk_extension_max_bytes,
                trailer_max_bytes=limits.trailer_max_bytes,
            )
        self.is_whole = False

    def feed(self, data: bytes) -> bytes:
        """
        Take *data* and give back what was not used: of the next request, or what has to wait for another turn.

        Raises:
            InvalidRequestError, RequestTooLargeError: The coding is malformed, or it is too much.
            ServerBusyError: There is no room for it now.
        """
        decoder = self._decoder
        if decoder is None:
            piece = data[: self._left]
            self._keep(piece)
            self._left -= len(piece)
            self.is_whole = not self._left
            return data[len(piece) :]
        pieces, used = decoder.feed(data)
        for piece in pieces:
            self._keep(piece)
        self.is_whole = decoder.done
        return data[used:]

    def take(self) -> bytes:
        """The whole body."""
        body, self._kept = bytes(self._kept), bytearray()
        return body

    def deadline(self) -> float:
        """When it has to be whole, by what is known of its size now."""
        limits = self._limits
        size = self._size if self._decoder is None else self._received
        return self._began_at + max(limits.body_timeout_s, size / limits.body_min_bytes_per_s)

    def _keep(self, piece: bytes) -> None:
        self._received += len(piece)
        if self._charge is None:
            return
        if self._received > self._max_bytes:
            raise RequestTooLargeError(self._max_bytes)
        self._charge(len(piece))
        self._kept += piece
