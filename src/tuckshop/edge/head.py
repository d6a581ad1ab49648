"""
Request heads: parsed by llhttp, and refused by us where llhttp is too kind (rule E2).

A head comes here whole, up to and with its empty line, so that nothing depends on how the bytes were cut. llhttp
refuses malformed and folded fields, bare line feeds, control characters, two lengths. It lets through other versions
than 1.0 and 1.1, HTTP/0.9, any `Host`, any list of transfer codings, absolute targets and heads of any size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import httptools

from tuckshop.domain.errors import InvalidRequestError

Headers = list[tuple[bytes, bytes]]

# `#` has no place in a target, and what is not visible ASCII has to be percent-encoded.
_REQUEST_LINE: Final = re.compile(rb"([A-Z][A-Z-]{0,19}) (/[!\"$-~]*) HTTP/1\.([01])\r\n")
_LINE_START: Final = re.compile(rb"[A-Z][A-Z-]{0,19} \S+ HTTP/1\.[01]\r\n")
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_LENGTH_FIELD: Final = re.compile(rb"\r\n(?i:content-length):[ \t]*([0-9]{1,15})[ \t]*\r\n")
# A line feed without its carriage return, or a character that no head may hold.
_STRAY: Final = re.compile(rb"(?:^|[^\r])\n|\r[^\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_FRAMING: Final = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"expect",
        b"content-encoding",
    }
)


class RequestHead:
    """What a head says. Path and query are as they came, never decoded or normalised (E3)."""

    __slots__ = (
        "chunked",
        "content_coding",
        "content_length",
        "expects_continue",
        "headers",
        "keep_alive",
        "learned",
        "method",
        "path",
        "peer",
        "query",
        "reply_fields",
        "scheme",
        "version_minor",
    )

    def __init__(self, method: str, path: str, query: str, headers: Headers) -> None:
        self.method = method
        self.path = path
        self.query = query  # without the question mark
        self.headers = headers  # names in lower case, in the order they came
        self.peer = ""  # the client's address: the connection's other side, or who a trusted proxy says it is
        self.scheme = "http"  # https where a trusted proxy says so
        self.reply_fields: Sequence[tuple[bytes, bytes]] = ()  # go with every reply, a refusal too
        self.version_minor = 1
        self.content_length = 0
        self.content_coding: bytes | None = None
        self.chunked = False
        self.keep_alive = True
        self.expects_continue = False
        self.learned: Any = None  # whatever the application makes of these fields, for `again`

    def again(self) -> RequestHead:
        """The head of another request that says the same."""
        head = RequestHead(self.method, self.path, self.query, self.headers)
        head.version_minor = self.version_minor
        head.content_length = self.content_length
        head.content_coding = self.content_coding
        head.chunked = self.chunked
        head.keep_alive = self.keep_alive
        head.expects_continue = self.expects_continue
        head.learned = self.learned
        return head

    def state_length(self, length: bytes) -> None:
        """Its body is of another *length*."""
        self.content_length = int(length)
        self.headers = [
            (name, length if name == b"content-length" else value) for name, value in self.headers
        ]

    def header(self, name: bytes) -> bytes | None:
        """The value of the first field called *name* (lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class HeadReader:
    """
    Reads the heads of one connection.

    A client says much the same in each: one that differs from the last in nothing but how long its body is says that.
    """

    __slots__ = ("_after", "_before", "_last", "_length", "_max_fields")

    def __init__(self, *, max_fields: int) -> None:
        self._max_fields = max_fields
        self._last: RequestHead | None = None
        # Around the digits of its length; where it states none, the whole of it, nothing, and nothing.
        self._before = self._length = self._after = b""

    def read(self, raw: bytes) -> RequestHead:
        """As `parse_head`, of which it raises what it raises."""
        last = self._last
        if last is not None and raw.startswith(self._before) and raw.endswith(self._after):
            length = raw[len(self._before) : len(raw) - len(self._after)]
            if _LENGTH.fullmatch(length) if self._after else not length:
                head = self._last = last.again()
                if length != self._length:
                    self._length = length
                    head.state_length(length)
                return head
        head = self._last = parse_head(raw, max_fields=self._max_fields)
        stated = _LENGTH_FIELD.search(raw)
        start, end = stated.span(1) if stated is not None else (len(raw), len(raw))
        self._before, self._length, self._after = raw[:start], raw[start:end], raw[end:]
        return head


class _Collector:
    """llhttp's callbacks: fields, and whether the head ended where we say it does."""

    __slots__ = ("completed", "framing", "headers")

    def __init__(self) -> None:
        self.headers: Headers = []
        self.framing: Headers = []
        self.completed = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        field = (name.lower(), value.rstrip())  # llhttp leaves the space after a value
        self.headers.append(field)
        if field[0] in _FRAMING:
            self.framing.append(field)

    def on_headers_complete(self) -> None:
        self.completed += 1


def check_beginning(data: bytearray | bytes, *, start: int) -> None:
    """
    Refuse what cannot become a head any more, before its end has come.

    Args:
        data: The head so far.
        start: How much of it was checked before.
    Raises:
        InvalidRequestError: It holds what no head may hold, or its first line is complete and none of HTTP/1.x.
    """
    stray = _STRAY.search(data, max(0, start - 1))
    if stray is not None:
        raise InvalidRequestError("the head holds a bare line feed or a control character")
    if data.find(b"\r\n", max(0, start - 1)) >= 0 and not _LINE_START.match(data):
        raise InvalidRequestError("the request line is not one of HTTP/1.1")


def parse_head(raw: bytes, *, max_fields: int) -> RequestHead:
    """
    What *raw*, a head up to and with its empty line, says.

    Raises:
        InvalidRequestError: It is not clean HTTP/1.1 or 1.0; the connection has to be closed.
    """
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise InvalidRequestError(
            "the request line is not METHOD, a path and HTTP/1.1, or the path is not clean"
        )
    method, target, minor = line.groups()
    fields = _Collector()
    try:
        httptools.HttpRequestParser(fields).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # we offer no other protocol; ignoring the wish is what RFC 9110 section 7.8 provides for
    except httptools.HttpParserError as error:
        raise InvalidRequestError(f"malformed head: {error}") from error
    if fields.completed != 1:
        raise InvalidRequestError("the head does not end where its fields end")
    if len(fields.headers) > max_fields:
        raise InvalidRequestError(f"more than {max_fields} header fields")
    path, _, query = target.decode("ascii").partition("?")
    head = RequestHead(method.decode("ascii"), path, query, fields.headers)
    if minor == b"0":
        head.version_minor = 0
        head.keep_alive = False
    _read_framing(head, fields.framing)
    return head


def _read_framing(head: RequestHead, framing: Headers) -> None:
    hosts = lengths = 0
    for name, value in framing:
        if name == b"host":
            hosts += 1
            if not _HOST.fullmatch(value):
                raise InvalidRequestError("Host is not a name or an address with an optional port")
        elif name == b"content-length":
            lengths += 1
            if not _LENGTH.fullmatch(value):
                raise InvalidRequestError("Content-Length is not a plain number")
            head.content_length = int(value)
        elif name == b"connection":
            if b"close" in _tokens(value):
                head.keep_alive = False
        elif name == b"transfer-encoding":
            if head.chunked or value.lower() != b"chunked" or head.version_minor == 0:
                raise InvalidRequestError(
                    "the only Transfer-Encoding is chunked, once, in HTTP/1.1"
                )
            head.chunked = True
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise InvalidRequestError("the only expectation that can be met is 100-continue")
            head.expects_continue = head.version_minor == 1
        elif value.lower() not in (b"", b"identity"):
            head.content_coding = value
    if hosts > 1 or (hosts == 0 and head.version_minor == 1):
        raise InvalidRequestError("exactly one Host is needed")
    if lengths > 1 or (lengths and head.chunked):
        raise InvalidRequestError("one length, by Content-Length or by chunks, is needed")


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip() for token in value.lower().split(b",")]
