"""Listens to an answer that is only looked at, and passes what it hears on to whoever keeps bodies. Delays nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tuckshop.gateway.ports import Tap

REPLY_MAX_BYTES: Final = 1 << 20  # a longer answer is not looked at


class AnswerTap:
    """
    Of one call.

    Args:
        inner: Who else listens.
        take: Asked for memory, in bytes, and given it back with a negative number; False: there is none.
        look: Told of the whole reply, of whether it is a stream, and of the memory that it takes.
    """

    __slots__ = ("_inner", "_look", "_pieces", "_size", "_take")

    def __init__(
        self,
        inner: Tap | None,
        *,
        take: Callable[[int], bool],
        look: Callable[[bytes, bool, int], None],
    ) -> None:
        self._inner = inner
        self._take = take
        self._look = look
        self._pieces: list[bytes] | None = []  # None: it is too long
        self._size = 0

    def add(self, piece: bytes) -> None:
        """A piece of the reply."""
        if self._inner is not None:
            self._inner.add(piece)
        if self._pieces is None:
            return
        if self._size + len(piece) > REPLY_MAX_BYTES or not self._take(len(piece)):
            self._take(-self._size)
            self._pieces = None
            return
        self._size += len(piece)
        self._pieces.append(piece)

    def end(self, http_status: int | None, *, is_stream: bool) -> None:
        """The call is over."""
        if self._inner is not None:
            self._inner.end(http_status, is_stream=is_stream)
        if self._pieces is None:
            return
        reply, self._pieces = b"".join(self._pieces), None
        if http_status is not None and 200 <= http_status < 300 and reply:
            self._look(reply, is_stream, self._size)
        else:
            self._take(-self._size)
