"""
Watch a stream of chunks go by (chat, completions), and tell at its end what it used.

Chunks are parsed only where a cheap look says that they may state usage, an error or the end; all others cost one
search.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tuckshop.domain.errors import RefusalError
from tuckshop.domain.usage import Usage
from tuckshop.protocols.openai.cleaning import clean_json
from tuckshop.protocols.openai.errors import stream_error
from tuckshop.protocols.openai.events import EventMeter, data_of
from tuckshop.protocols.openai.usage import UNREADABLE, decode_usage

# Not null. In a text these quotes would have backslashes.
_USAGE: Final = re.compile(rb'"usage"\s*:\s*[^n\s]')
# Output of a model, whatever its kind: not an empty text.
_OUTPUT: Final = re.compile(
    rb'"(?:content|reasoning_content|refusal|arguments|input|text)"\s*:\s*"[^"]'
)


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    model: str | None = None
    service_tier: str | None = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_FALSY: Final = frozenset({b"null", b"false", b"0", b'""', b"{}", b"[]"})


class StreamMeter(EventMeter):
    """The meter of a stream of chunks, which ends with `[DONE]`."""

    __slots__ = ("_is_last_usage", "_strips")

    def __init__(
        self, strip_usage_chunk: bool, *, event_max_bytes: int, credential: str = ""
    ) -> None:
        super().__init__(event_max_bytes=event_max_bytes, credential=credential)
        self._strips = strip_usage_chunk  # take out the chunk that only we asked for
        self._is_last_usage = False  # it stands in a chunk of its own, which comes last

    @property
    def final_usage(self) -> Usage | None:
        """
        The usage of the whole call; None: charge by rule (M9).

        Some servers state in every chunk what was used so far. Where such a stream is cut, the last statement is not
        the last word.
        """
        return self.usage if self.done or self._is_last_usage else None

    def refusal(self, error: RefusalError) -> bytes:
        return stream_error(error)

    def _is_dull(self, data: bytes) -> bool:
        # As `_is_worth_reading`, without a call of its own.
        if _USAGE.search(data) is not None or b'"error"' in data or b"[DONE]" in data:
            return False
        if not self.has_output:
            self.has_output = _OUTPUT.search(data) is not None
        return True

    def _read(self, event: bytes) -> bytes:
        if not self.has_output:
            self.has_output = _OUTPUT.search(event) is not None
        if not self._is_first and not _is_worth_reading(event):
            return event
        data = data_of(event)
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
    """Might *data* state usage, an error or the end? One search each."""
    return _USAGE.search(data) is not None or b'"error"' in data or b"[DONE]" in data
