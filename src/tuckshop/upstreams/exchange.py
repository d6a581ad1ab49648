"""One request to an upstream and its reply, as the one who relays it sees them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from tuckshop.upstreams.failure import TimeoutKind, UpstreamFailure

if TYPE_CHECKING:
    from tuckshop.upstreams.connection import UpstreamConnection

Headers = list[tuple[bytes, bytes]]


class Receiver(Protocol):
    """
    Takes a reply as it comes. Called on the event loop, never from within `UpstreamPool.open`.

    Order: `on_head`, `on_data` any number of times, then `on_end` or `on_error` exactly once. `on_error` may come at
    any time before the end. After `abort` nothing is called any more.
    """

    def on_head(self, status: int, headers: Headers) -> None:
        """The head of the reply; of its fields those that concern anybody. Interim replies (1xx) are never told."""

    def on_data(self, data: bytes) -> None:
        """What one read brought of the body: chunks that came together come as one."""

    def on_end(self) -> None:
        """The reply is complete, the connection is given back."""

    def on_error(self, failure: UpstreamFailure) -> None:
        """There will be no complete reply."""

    def on_timeout(self, kind: TimeoutKind) -> None:
        """The upstream is slower than allowed, and alive. The exchange goes on unless it is aborted. Told once."""


class _Nobody:
    """Takes the receiver's place once it hears nothing more, so that no cycle of references is left behind."""

    def on_head(self, status: int, headers: Headers) -> None: ...
    def on_data(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_error(self, failure: UpstreamFailure) -> None: ...
    def on_timeout(self, kind: TimeoutKind) -> None: ...


_NOBODY: Final = _Nobody()


class UpstreamExchange:
    """
    A request under way.

    Attributes:
        status: Of the reply; 0 before its head.
        content_coding: The reply's `Content-Encoding`, although identity was asked for; None as a rule.
        request_bytes_written: False is proof that the upstream has seen nothing of it (M10).
        is_over: The reply is complete, failed or was given up.
        is_reused: It went out on a connection that had served others before.
    """

    __slots__ = (
        "connection",
        "content_coding",
        "deadline_at",
        "dialling",
        "gap_timeout_s",
        "is_over",
        "is_paused",
        "is_reused",
        "receiver",
        "request_bytes_written",
        "status",
        "timeout_told",
    )

    def __init__(self, receiver: Receiver, *, deadline_at: float, gap_timeout_s: float) -> None:
        self.receiver = receiver
        self.deadline_at = deadline_at  # by the loop's clock
        self.gap_timeout_s = gap_timeout_s
        self.connection: UpstreamConnection | None = None
        self.dialling: asyncio.Task[Any] | None = None
        self.status = 0
        self.content_coding: bytes | None = None
        self.request_bytes_written = False
        self.is_over = False
        self.is_paused = False
        self.is_reused = False
        self.timeout_told = False

    def pause(self) -> None:
        """Read nothing more of the reply for now. The gap between pieces does not count meanwhile."""
        if not self.is_paused:
            self.is_paused = True
            if self.connection is not None:
                self.connection.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.is_paused:
            self.is_paused = False
            if self.connection is not None:
                self.connection.resume_reading()

    def end_within(self, seconds: float) -> None:
        """Bring the deadline of the whole call forward to *seconds* from now; it never moves back."""
        at = asyncio.get_running_loop().time() + seconds
        if at < self.deadline_at:
            self.deadline_at = at
            if self.connection is not None:
                self.connection.arm()

    def abort(self) -> None:
        """
        Give the exchange up: its connection is closed, the receiver hears nothing more.

        `request_bytes_written` still tells the truth afterwards.
        """
        if self.is_over:
            return
        connection, dialling = self.connection, self.dialling
        self.detach()
        if connection is not None:
            connection.give_up()
        elif dialling is not None:
            dialling.cancel()

    def fail(self, failure: UpstreamFailure) -> None:
        """There will be no complete reply (called by connection and pool)."""
        if not self.is_over:
            self.detach().on_error(failure)

    def detach(self) -> Receiver:
        """The exchange is over; who is to hear how it ended (called by connection and pool)."""
        receiver, self.receiver = self.receiver, _NOBODY
        self.is_over = True
        self.connection = None
        self.dialling = None
        return receiver
