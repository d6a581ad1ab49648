"""
What goes by of one call, for as long as nobody knows whether it is kept.

A piece of a stream costs an append: memory is taken from the keeper in grants, and each grant's pieces are joined when
the next one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tuckshop.keeping.kept_body import Content, KeptBody
from tuckshop.protocols.endpoints import Events

GRANT_BYTES: Final = 16 << 10
PIECE_BYTES: Final = 64  # that an object costs beside its bytes


class Tap:
    """One call's request and reply."""

    __slots__ = (
        *("_blocks", "_endpoint", "_events", "_grant", "_on_end", "_pieces", "_request", "_room"),
        *("body", "bytes_held", "http_status", "is_flagged", "is_stream", "reply_bytes"),
        *("reply_max_bytes", "request_bytes", "wants_all"),
    )

    def __init__(
        self,
        body: KeptBody,
        *,
        endpoint: str,
        events: Events,
        request: bytes,
        request_bytes: int,
        wants_all: bool,
        reply_max_bytes: int,
        grant: Callable[[Tap, int], bool],
        on_end: Callable[[Tap], None],
    ) -> None:
        """
        Begin with the *request* that was sent, cut off already where it is too long.

        Args:
            wants_all: Whether it is kept also if nothing is flagged in it.
            grant: Asked for memory; False: there is none.
            on_end: Told of the end of the call.
        """
        self.body = body
        self.wants_all = wants_all
        self.is_flagged = body.is_flagged
        self.is_stream = False
        self.http_status: int | None = None
        self.bytes_held = 0  # in memory, granted
        self.request_bytes = request_bytes
        self.reply_bytes = 0
        self.reply_max_bytes = reply_max_bytes
        self._endpoint = endpoint
        self._events = events
        self._request = request
        self._pieces: list[bytes] = []
        self._blocks: list[bytes] = []
        self._room = 0
        self._grant = grant
        self._on_end = on_end

    def add(self, piece: bytes) -> None:
        """A piece of the reply, as the client gets it."""
        self.reply_bytes += len(piece)
        room = self._room - len(piece) - PIECE_BYTES
        if room >= 0:
            self._room = room
            self._pieces.append(piece)
        else:
            self._grow(piece)

    def end(self, http_status: int | None, *, is_stream: bool) -> None:
        """The call is over, whoever got the reply."""
        self.http_status = http_status
        self.is_stream = is_stream
        self._on_end(self)

    def spare(self) -> int:
        """Bytes of the last grant that were not used, once the call is over: they are taken from what is held."""
        spare, self._room = max(self._room, 0), -1
        self.bytes_held -= spare
        return spare

    def mute(self) -> None:
        """Keep nothing of what follows."""
        self._room, self.reply_max_bytes = -1, 0
        self._pieces, self._blocks = [], []

    def content(self) -> Content:
        """What was said."""
        return Content(
            endpoint=self._endpoint,
            events=self._events,
            request=self._request,
            request_bytes=self.request_bytes,
            reply=b"".join((*self._blocks, *self._pieces)),
            reply_bytes=self.reply_bytes,
            is_stream=self.is_stream,
            http_status=self.http_status,
        )

    def _grow(self, piece: bytes) -> None:
        """Ask for another grant; what is longer than may be kept goes by."""
        left = self.reply_max_bytes - (self.reply_bytes - len(piece))
        kept = piece[: max(left, 0)]
        wanted = max(GRANT_BYTES, len(kept) + PIECE_BYTES)
        if not kept or not self._grant(self, wanted):
            self._room, self.reply_max_bytes = -1, 0  # nothing that follows is kept: no holes
            return
        self._blocks.append(b"".join(self._pieces))
        self._pieces = [kept]
        self._room = wanted - len(kept) - PIECE_BYTES if len(kept) == len(piece) else -1
