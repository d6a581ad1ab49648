"""
Watch a stream of typed events go by (the Responses API), and tell at its end what it used.

Such a stream ends with one of three events that hold the whole response, usage and all, or with an `error` event that
tells no usage. Only these are parsed; the others cost one search each.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tuckshop.domain.errors import RefusalError
from tuckshop.domain.usage import Usage
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai.body import BodyFacts
from tuckshop.protocols.openai.cleaning import clean_json
from tuckshop.protocols.openai.errors import typed_stream_error
from tuckshop.protocols.openai.events import EventMeter, data_of
from tuckshop.protocols.openai.reply import ReplyLimits
from tuckshop.protocols.openai.stream import StreamMeter
from tuckshop.protocols.openai.usage import UNREADABLE, decode_usage

# In a text these quotes would have backslashes; in what a client sent along they may stand, so this is a first look.
_ENDS: Final = re.compile(
    rb'"type"\s*:\s*"(?:response\.(?:completed|incomplete|failed)|error)"|"error"\s*:\s*\{'
)
_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_OUTPUT: Final = re.compile(rb'"delta"\s*:\s*"[^"]')
_SEQUENCE: Final = re.compile(rb'"sequence_number"\s*:\s*(\d{1,15})')
_HEAD_TYPE: Final = re.compile(rb'\A[^{]*\{\s*"type"\s*:\s*"([a-z._]{1,64})"')
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
_MODEL: Final = re.compile(rb'"model"\s*:\s*"([^"\\]{1,128})"')


class _Response(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    model: str | None = None
    service_tier: str | None = None


class _Event(msgspec.Struct):
    type: str | None = None
    response: _Response | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_EVENT: Final = msgspec.json.Decoder(_Event)


class TypedMeter(EventMeter):
    """The meter of a stream of typed events."""

    __slots__ = ("_last", "_tail_bytes", "_whole_max_bytes")

    def __init__(self, limits: ReplyLimits, credential: str = "") -> None:
        super().__init__(event_max_bytes=limits.event_max_bytes["typed"], credential=credential)
        self._whole_max_bytes = limits.whole_max_bytes
        self._tail_bytes = limits.tail_bytes
        self._is_first = False  # the last event says all that the first one does
        self._last = b""  # what was passed on last

    @property
    def final_usage(self) -> Usage | None:
        """The usage of the whole call; None: charge by rule (M9)."""
        return self.usage

    def refusal(self, error: RefusalError) -> bytes:
        numbers = _SEQUENCE.findall(self._last)
        return typed_stream_error(error, int(numbers[-1]) + 1 if numbers else 0)

    def _is_dull(self, data: bytes) -> bool:
        if _ENDS.search(data) is not None:
            return False
        self._note(data)
        return True

    def _read(self, event: bytes) -> bytes:
        self._note(event)
        if _ENDS.search(event) is None:
            return event
        data = data_of(event)
        if len(data) > self._whole_max_bytes:
            self._read_end_of(data)
            return event
        try:
            told = _EVENT.decode(data)
        except UNREADABLE:
            self.usage = None  # it may have stated one
            return event
        if told.type in _TERMINAL:
            self._take(told.response or _Response())
        elif told.type == "error" or bytes(told.error).startswith(b"{"):
            self.error = True
        else:
            return event
        if told.type in ("response.completed", "response.incomplete"):
            return event
        clean = self._cleaned(data, told)
        return event if clean == data else _renamed(told.type) + b"data: " + clean + b"\n\n"

    def _cleaned(self, data: bytes, told: _Event) -> bytes:
        """*data* without what its error tells of the account; of a response that failed the answer stays as it is."""
        if told.response is None:
            return clean_json(data, self._credential)
        error = bytes(told.response.error)
        return data.replace(error, clean_json(error, self._credential))

    def _note(self, data: bytes) -> None:
        self._last = data
        if not self.has_output:
            self.has_output = _OUTPUT.search(data) is not None

    def _read_end_of(self, data: bytes) -> None:
        """
        Usage stands near the end of an event that is too long to be parsed.

        From the name `usage` on, the rest must be the end of an event whose response ends there: so the name stands at
        the response's top level.
        """
        kept = self._tail_bytes
        named = _HEAD_TYPE.match(data[:kept])
        if named is None or named[1].decode() not in _TERMINAL:
            return
        tail = data[-kept:]
        starts = [match.start() for match in _USAGE.finditer(tail)]
        for start in reversed(starts[-4:]):
            try:
                told = _EVENT.decode(b'{"response":{' + tail[start:])
            except UNREADABLE:
                continue
            if told.response is not None:
                model = _MODEL.search(data, 0, kept)
                if model is not None:
                    self.model = model[1].decode(errors="replace")
                self._take(told.response)
                return

    def _take(self, response: _Response) -> None:
        self.done = True
        self.usage = decode_usage(response.usage)
        self.model = response.model or self.model
        self.service_tier = response.service_tier or self.service_tier


def meter_for(
    endpoint: Endpoint, facts: BodyFacts, *, limits: ReplyLimits, credential: str = ""
) -> EventMeter:
    """
    The meter of a stream that answers a body with *facts*.

    Args:
        credential: The upstream's; taken out of error events.
    """
    if endpoint.events == "typed":
        return TypedMeter(limits, credential)
    strips = facts.stream and not facts.wants_usage
    longest = limits.event_max_bytes[endpoint.events]
    return StreamMeter(strips, event_max_bytes=longest, credential=credential)


def _renamed(kind: str | None) -> bytes:
    return b"event: " + kind.encode() + b"\n" if kind else b""
