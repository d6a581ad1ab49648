"""The head of an upstream's reply: the few fields that matter here. All others stay where they are (E4)."""

from __future__ import annotations

import re
from typing import Final

UPSTREAM_ID_MAX: Final = 128
# What a client gets to see comes from outside, and in these a line of 64 KiB or a letter of 8 bits is no use.
_CONTENT_TYPE: Final = re.compile(rb"[ -~]{1,255}")
JSON: Final = b"application/json"


class ReplyHead:
    """
    What a reply's head says.

    Attributes:
        content_type: As the client may see it; JSON where the upstream says nothing.
        is_success, is_event_stream: What follows.
    """

    __slots__ = (
        "content_type",
        "is_event_stream",
        "is_success",
        "request_id",
        "retry_after",
        "retry_after_ms",
        "status",
    )

    def __init__(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.request_id: str | None = None  # the upstream's
        self.retry_after: str | None = None
        self.retry_after_ms: str | None = None
        self.content_type = JSON
        content_type = b""
        for name, value in fields:
            if name == b"content-type":
                content_type = value
            elif name == b"x-request-id":
                self.request_id = value[:UPSTREAM_ID_MAX].decode("latin-1")
            elif name == b"retry-after":
                self.retry_after = value.decode("latin-1")
            elif name == b"retry-after-ms":
                self.retry_after_ms = value.decode("latin-1")
        if content_type:
            is_clean = _CONTENT_TYPE.fullmatch(content_type)
            self.content_type = content_type if is_clean else b"application/octet-stream"
        self.is_success = 200 <= status < 300
        self.is_event_stream = content_type.lower().startswith(b"text/event-stream")
