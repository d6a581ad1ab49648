"""A request head as it comes, in however many pieces: where it ends, and that it can still become one (E2)."""

from __future__ import annotations

from typing import Final

from tuckshop.domain.errors import InvalidRequestError
from tuckshop.edge.head import check_beginning

_END_OF_HEAD: Final = b"\r\n\r\n"


class PartialHead:
    """What has come of the next head."""

    __slots__ = ("_max_bytes", "_pending", "_scanned")

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._scanned = 0  # how much of it was looked at

    @property
    def has_begun(self) -> bool:
        """Has any of it come?"""
        return bool(self._pending)

    def feed(self, data: bytes) -> tuple[bytes | None, bytes]:
        """
        The head, with its empty line, once *data* completes it, and what comes behind it; None: not yet.

        Raises:
            InvalidRequestError: It is too long, or cannot become a head any more.
        """
        pending = self._pending
        whole = data
        if pending:
            pending += data
            whole = bytes(pending)
        end = whole.find(_END_OF_HEAD, max(0, self._scanned - 3)) + len(_END_OF_HEAD)
        is_complete = end >= len(_END_OF_HEAD)
        if (end if is_complete else len(whole) + 1) > self._max_bytes:
            raise InvalidRequestError(f"a head of more than {self._max_bytes} bytes")
        if is_complete:
            self.clear()
            return whole[:end], whole[end:]
        check_beginning(whole, start=self._scanned)
        if not pending:
            pending += data
        self._scanned = len(pending)
        return None, b""

    def clear(self) -> None:
        """Forget it."""
        if self._pending:
            self._pending.clear()
            self._scanned = 0
