"""
Watch a stream of server-sent events go by, and tell at its end what it used.

An event leaves as soon as its last byte has come; only the bytes of an event that is not complete are held back.
Nothing depends on how the bytes are cut. Events are parsed only where a cheap look says that they may state usage,
an error or the end; all others cost one search.

Lines end in CRLF, LF or CR, and an empty line ends an event. A CR that ends an event may turn out to be the first
half of a CRLF: the LF then follows its event, out or away.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tuckshop.domain.usage import Usage
from tuckshop.protocols.openai.cleaning import clean_json
from tuckshop.protocols.openai.usage import UNREADABLE, decode_usage

EVENT_MAX_BYTES: Final = 1 << 20  # a longer event is passed on unread, and so is all that follows

# Atomic groups: a CRLF is never taken for two line ends.
_EVENT_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
# Not null. In a text these quotes would have backslashes.
_USAGE: Final = re.compile(rb'"usage"\s*:\s*[^n\s]')
# Output of a model, whatever its kind: not an empty text.
_OUTPUT: Final = re.compile(rb'"(?:content|reasoning_content|refusal|arguments|input)"\s*:\s*"[^"]')
_END_TAIL: Final = 2  # bytes of an unfinished _EVENT_END that may stand at the end of the buffer


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    model: str | None = None
    service_tier: str | None = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_FALSY: Final = frozenset({b"null", b"false", b"0", b'""', b"{}", b"[]"})


class StreamMeter:
    """The meter of one stream. The same however the bytes are cut."""

    __slots__ = (
        "_buffer",
        "_credential",
        "_is_blind",
        "_is_first",
        "_is_last_usage",
        "_lf_follows",
        "_lf_is_passed",
        "_strips",
        "done",
        "error",
        "has_output",
        "model",
        "service_tier",
        "usage",
    )

    def __init__(self, strip_usage_chunk: bool, credential: str = "") -> None:
        self._credential = credential  # the upstream's; taken out of error events
        self._strips = strip_usage_chunk  # take out the chunk that only we asked for
        self._buffer = bytearray()  # of the event that is not complete
        self._is_blind = False  # an event was too long to be read
        self._is_first = True
        self._lf_follows = False  # the last event ended in a CR
        self._lf_is_passed = True  # and was passed on as it came
        self.usage: Usage | None = None  # the last one stated; see `final_usage`
        self._is_last_usage = False  # it stands in a chunk of its own, which comes last
        self.model: str | None = None
        self.service_tier: str | None = None
        self.done = False  # `[DONE]` came
        self.error = False  # an error event came
        self.has_output = False  # text of the model went by

    @property
    def final_usage(self) -> Usage | None:
        """
        The usage of the whole call; None: charge by rule (M9).

        Some servers state in every chunk what was used so far. Where such a stream is cut, the last statement is not
        the last word.
        """
        return self.usage if self.done or self._is_last_usage else None

    def feed(self, data: bytes) -> bytes:
        """What to pass on now that *data* came."""
        if (
            not self._buffer
            and data.endswith(b"\n\n")
            and not (self._lf_follows or self._is_first)
            and not _is_worth_reading(data)
        ):
            if not self.has_output:
                self.has_output = _OUTPUT.search(data) is not None
            return data
        if self._is_blind:
            return data
        return self._feed(data)

    def finish(self) -> bytes:
        """What to pass on at the end: an event that lacks its empty line is read as it is."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return self._read(rest) if rest and not self._is_blind else rest

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
            event = bytes(buffer[start : end.end()])
            kept = self._read(event)
            passed.append(kept)
            start = searched = end.end()
            self._lf_is_passed = kept is event
        if start:
            if start == len(buffer):
                self._lf_follows = buffer.endswith(b"\r")
            del buffer[:start]
        if len(buffer) > EVENT_MAX_BYTES:
            passed.append(bytes(buffer))
            self._go_blind()
        return b"".join(passed)

    def _go_blind(self) -> None:
        self._buffer.clear()
        self._is_blind = True
        self.usage = None  # a later statement may be missed, so none counts

    def _read(self, event: bytes) -> bytes:
        """*event* as it is to be passed on: itself, cleaned of an account's ids, or nothing."""
        if not self.has_output:
            self.has_output = _OUTPUT.search(event) is not None
        if not self._is_first and not _is_worth_reading(event):
            return event
        data = _data_of(event)
        if data == b"[DONE]":
            self.done = True
            return event
        try:
            chunk = _CHUNK.decode(data)
        except UNREADABLE:
            self.usage = None  # it may have stated one
            return event
        self._is_first = False
        self.model = chunk.model or self.model
        self.service_tier = chunk.service_tier or self.service_tier
        if bytes(chunk.error) not in _FALSY:
            self.error = True
            clean = clean_json(data, self._credential)
            return event if clean == data else b"data: " + clean + b"\n\n"
        if bytes(chunk.usage) in _FALSY:
            return event
        # Stated but unreadable: what an earlier chunk stated is no longer the truth.
        self.usage = decode_usage(chunk.usage)
        self._is_last_usage = chunk.choices == []
        return b"" if self._strips and self._is_last_usage else event


def _is_worth_reading(data: bytes) -> bool:
    """Might *data* state usage, an error or the end? One search each: this runs for every event there is."""
    return _USAGE.search(data) is not None or b'"error"' in data or b"[DONE]" in data


def _data_of(event: bytes) -> bytes:
    """The payload of *event*: its `data` lines, joined as the standard says."""
    lines = []
    for line in _LINE_END.split(event):
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value[1:] if value.startswith(b" ") else value)
    return b"\n".join(lines)
