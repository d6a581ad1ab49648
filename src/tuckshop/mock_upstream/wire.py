"""From the events of a reply to the bytes on the wire, with the departures a script asks for."""

from __future__ import annotations

import enum
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Final

from tuckshop.mock_upstream.connection import Exchange
from tuckshop.mock_upstream.errors import error_body
from tuckshop.mock_upstream.script import Script

Frame = tuple[int, bytes]  # (output tokens generated up to and with this, what is sent)


class Act(enum.Enum):
    """What is done instead of sending."""

    HANG = enum.auto()
    RESET = enum.auto()
    CLOSE = enum.auto()


Wire = tuple[int, bytes | Act]
_ACTS: Final = {"hang": Act.HANG, "reset": Act.RESET, "close": Act.CLOSE}
_ERROR: Final = json.loads(
    error_body("The server had an error while processing your request.", "server_error", None, None)
)
_ERROR_EVENT: Final = b"data: " + json.dumps(_ERROR).encode() + b"\n\n"
# The same among typed events, which have no object around it.
_TYPED_ERROR_EVENT: Final = (
    b"event: error\ndata: "
    + json.dumps(
        {
            "type": "error",
            "code": "server_error",
            "message": _ERROR["error"]["message"],
            "param": None,
            "sequence_number": 99,
        }
    ).encode()
    + b"\n\n"
)
_GARBAGE: Final = b"xyz\r\nnot a chunk\r\n"
STRAY: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n"
    b'{"stray": "true"}'
)


def stream_wire(
    exchange: Exchange, fields: bytes, frames: Iterator[Frame], script: Script
) -> Iterator[Wire]:
    """A stream: its head, its events, its end."""
    if not script.departs:
        return _usual_stream(exchange, fields, frames)
    chunked = script.framing == "usual"
    if chunked:
        fields += b"transfer-encoding: chunked\r\n"
    else:
        exchange.keep_alive = False
    if script.gzip:
        fields += b"content-encoding: gzip\r\n"
    wire = _stream_text(frames, script)
    if script.gather:
        wire = _gathered(wire)
    if script.gzip:
        wire = _deflated(wire)
    if chunked:
        wire = _chunked(wire)
    wire = _between(_head(exchange, fields, script), wire, b"0\r\n\r\n" if chunked else b"", script)
    return _finished(wire, script)


def _usual_stream(exchange: Exchange, fields: bytes, frames: Iterator[Frame]) -> Iterator[Wire]:
    """The same for a script that changes nothing but the speed: the many."""
    yield 0, exchange.head(200, fields + b"transfer-encoding: chunked\r\n")
    tokens = 0
    for tokens, data in frames:
        yield tokens, b"%x\r\n%b\r\n" % (len(data), data) if data else data
    yield tokens, b"0\r\n\r\n"


def reply_wire(
    exchange: Exchange, fields: bytes, body: bytes, tokens: int, script: Script
) -> Iterator[Wire]:
    """A plain reply: its head, its body, generated in *tokens* steps before it is sent."""
    body = body[: _middle(body, script)] if script.midway in ("stop", "broken-json") else body
    if script.gzip:
        body = gzip.compress(body, mtime=0)
        fields += b"content-encoding: gzip\r\n"
    if script.framing == "until-close":
        exchange.keep_alive = False
    else:
        missing = 64 if script.midway == "garbage" else 0
        fields += b"content-length: %d\r\n" % (len(body) + missing)
    wire = _reply_steps(_head(exchange, fields, script), body, tokens, script)
    return _finished(wire, script)


def _reply_steps(head: bytes, body: bytes, tokens: int, script: Script) -> Iterator[Wire]:
    yield from ((step, b"") for step in range(1, tokens))
    yield tokens, head
    if script.after_head is not None:
        yield tokens, _ACTS[script.after_head]
    if script.midway in _ACTS:
        middle = _middle(body, script)
        yield tokens, body[:middle]
        yield tokens, _ACTS[script.midway]
        body = body[middle:]
    yield tokens, body
    if script.midway == "garbage":
        yield tokens, Act.CLOSE


def _middle(body: bytes, script: Script) -> int:
    return len(body) // 2 if script.at is None else script.at


def _head(exchange: Exchange, fields: bytes, script: Script) -> bytes:
    fields += b"".join(b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in script.extra_headers)
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </>; rel=preload\r\n\r\n"
    return (hints if script.hints_first else b"") + exchange.head(200, fields)


def _stream_text(frames: Iterator[Frame], script: Script) -> Iterator[Wire]:
    """The events as text, with what the script changes in it."""
    if script.midway is None:
        for tokens, data in frames:
            yield tokens, _styled(data, script)
        return
    events = list(frames)
    spoken = [index for index, (_, data) in enumerate(events) if data]
    at = spoken[min(len(spoken) // 2 if script.at is None else script.at, len(spoken) - 1)]
    for index, (tokens, data) in enumerate(events):
        if index == at:
            if script.midway in _ACTS:
                yield tokens, _ACTS[script.midway]
            elif script.midway == "stop":
                return
            elif script.midway == "error-event":
                typed = data.startswith(b"event: ")
                yield tokens, _styled(_TYPED_ERROR_EVENT if typed else _ERROR_EVENT, script)
                return
            elif script.midway == "garbage":
                yield tokens, _GARBAGE
            elif script.midway == "broken-json":
                yield tokens, data[: len(data) // 2] + b"\n\n"
                continue
        yield tokens, _styled(data, script)


def _styled(data: bytes, script: Script) -> bytes:
    if not data:
        return data
    head, found, body = data.partition(b"data: {")
    if script.many_lines and found:
        lines = json.dumps(json.loads(b"{" + body), indent=1).encode().splitlines()
        data = head + b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"
    if script.comments:
        data = b": still here\n\n" + data
    if script.crlf:
        data = data.replace(b"\n", b"\r\n")
    return data


def _gathered(wire: Iterator[Wire]) -> Iterator[Wire]:
    """Everything in one, when all of it is there."""
    total, texts = 0, []
    for total, data in wire:
        if isinstance(data, bytes):
            texts.append(data)
        yield total, b""
    yield total, b"".join(texts)


def _deflated(wire: Iterator[Wire]) -> Iterator[Wire]:
    """Each event flushed, so that it can be read as it comes."""
    squeeze = zlib.compressobj(wbits=31)
    tokens = 0
    for tokens, data in wire:
        if isinstance(data, bytes) and data:
            data = squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        yield tokens, data
    yield tokens, squeeze.flush()


def _chunked(wire: Iterator[Wire]) -> Iterator[Wire]:
    for tokens, data in wire:
        if isinstance(data, Act) or not data or data is _GARBAGE:
            yield tokens, data
        else:
            yield tokens, b"%x\r\n%b\r\n" % (len(data), data)


def _between(head: bytes, wire: Iterator[Wire], tail: bytes, script: Script) -> Iterator[Wire]:
    """
    *wire* with *head* before and *tail* behind it.

    In lock-step they go with the first and the last event, so that events alone need a turn.
    """
    tokens = 0
    if not script.lockstep:
        yield 0, head
        if script.after_head is not None:
            yield 0, _ACTS[script.after_head]
        for frame in wire:
            tokens = frame[0]
            yield frame
        yield tokens, tail
        return
    held = head
    last: Wire | None = None
    for tokens, data in wire:
        if not data or isinstance(data, Act):
            yield tokens, data
            continue
        if last is not None:
            yield last
        last = (tokens, held + data)
        held = b""
    if last is not None and isinstance(last[1], bytes):
        yield last[0], last[1] + tail


def _finished(wire: Iterator[Wire], script: Script) -> Iterator[Wire]:
    """*wire* in pieces of the script's size, and what the script does behind the reply."""
    size = script.piece_bytes
    tokens = 0
    for tokens, data in wire:
        if size and isinstance(data, bytes) and len(data) > size:
            for at in range(0, len(data), size):
                yield tokens, data[at : at + size]
        else:
            yield tokens, data
    if script.after_reply == "close":
        yield tokens, Act.CLOSE
    elif script.after_reply == "stray":
        yield tokens, STRAY
