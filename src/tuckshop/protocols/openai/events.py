"""
Cut a stream of server-sent events into events as they go by, and let each go on its way.

An event leaves as soon as its last byte has come; only the bytes of an event that is not complete are held back.
Nothing depends on how the bytes are cut. What an event says is read by the meters that build on this.

Lines end in CRLF, LF or CR, and an empty line ends an event. A CR that ends an event may turn out to be the first
half of a CRLF: the LF then follows its event, out or away.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Final

from tuckshop.domain.errors import RefusalError
from tuckshop.domain.usage import Usage

# Atomic groups: a CRLF is never taken for two line ends.
_EVENT_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_END_TAIL: Final = 2  # bytes of an unfinished _EVENT_END that may stand at the end of the buffer


class EventMeter(ABC):
    """The meter of one stream. The same however the bytes are cut."""

    __slots__ = (
        "_buffer",
        "_credential",
        "_event_max_bytes",
        "_is_blind",
        "_is_first",
        "_lf_follows",
        "_lf_is_passed",
        "done",
        "error",
        "has_output",
        "model",
        "service_tier",
        "usage",
    )

    def __init__(self, *, event_max_bytes: int, credential: str = "") -> None:
        """
        A meter of a stream from its first byte on.

        Args:
            event_max_bytes: A longer event is passed on unread, and so is all that follows.
            credential: The upstream's; taken out of error events.
        """
        self._event_max_bytes = event_max_bytes
        self._credential = credential
        self._buffer = bytearray()  # of the event that is not complete
        self._is_blind = False  # an event was too long to be read
        self._is_first = True
        self._lf_follows = False  # the last event ended in a CR
        self._lf_is_passed = True  # and was passed on as it came
        self.usage: Usage | None = None  # the last one stated; see `final_usage`
        self.model: str | None = None
        self.service_tier: str | None = None
        self.done = False  # the end came
        self.error = False  # an error event came
        self.has_output = False  # text of the model went by

    @property
    def is_blind(self) -> bool:
        """Was an event too long to be read? From there on pieces are passed on as they come, whole events or not."""
        return self._is_blind

    @property
    @abstractmethod
    def final_usage(self) -> Usage | None:
        """The usage of the whole call; None: charge by rule (M9)."""

    @abstractmethod
    def refusal(self, error: RefusalError) -> bytes:
        """The event that tells *error* at this place of the stream, as the client libraries raise on it."""

    def feed(self, data: bytes) -> bytes:
        """What to pass on now that *data* came."""
        if (
            not self._buffer
            and len(data) <= self._event_max_bytes
            and data.endswith(b"\n\n")
            and not (self._lf_follows or self._is_first)
            and self._is_dull(data)
        ):
            return data
        if self._is_blind:
            return data
        return self._feed(data)

    def finish(self) -> bytes:
        """What to pass on at the end: an event that lacks its empty line is read as it is."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return self._read(rest) if rest and not self._is_blind else rest

    @abstractmethod
    def _is_dull(self, data: bytes) -> bool:
        """Do the whole events in *data* surely say nothing but output? This runs for every event there is."""

    @abstractmethod
    def _read(self, event: bytes) -> bytes:
        """*event* as it is to be passed on: itself, cleaned of an account's ids, or nothing."""

    def _feed(self, data: bytes) -> bytes:
        passed = []
        if self._lf_follows and data:
            self._lf_follows = False
            if data.startswith(b"\n"):
                data = data[1:]
                if self._lf_is_passed:
                    passed.append(b"\n")
        buffer = self._buffer
        searched = max(0, len(buffer) - _END_TAIL)
        buffer += data
        start = 0
        while (end := _EVENT_END.search(buffer, searched)) is not None:
            if end.end() - start > self._event_max_bytes:
                break
            event = bytes(buffer[start : end.end()])
            kept = self._read(event)
            passed.append(kept)
            start = searched = end.end()
            self._lf_is_passed = kept is event
        if start:
            if start == len(buffer):
                self._lf_follows = buffer.endswith(b"\r")
            del buffer[:start]
        if end is not None or len(buffer) > self._event_max_bytes:
            passed.append(bytes(buffer))
            self._go_blind()
        return b"".join(passed)

    def _go_blind(self) -> None:
        self._buffer.clear()
        self._is_blind = True
        self.usage = None  # a later statement may be missed, so none counts


def data_of(event: bytes) -> bytes:
    """The payload of *event*: its `data` lines, joined as the standard says."""
    lines = []
    for line in _LINE_END.split(event):
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value[1:] if value.startswith(b" ") else value)
    return b"\n".join(lines)
