"""The header fields of a reply: those of the real provider and of the network before it."""

from __future__ import annotations

import secrets
import time
from email.utils import formatdate
from typing import Final

from tuckshop.mock_upstream.connection import Headers
from tuckshop.mock_upstream.faults import ORGANISATION

PROJECT: Final = "proj_TUCKSHOPmockproject"
LIMIT_REQUESTS: Final = 30_000
LIMIT_TOKENS: Final = 150_000_000


class ReplyHead:
    """Makes the fields of each reply; those that never change are made once."""

    def __init__(self) -> None:
        cookie = secrets.token_urlsafe(32)
        self._fixed: Headers = [
            (b"openai-organization", ORGANISATION.encode()),
            (b"openai-project", PROJECT.encode()),
            (b"openai-version", b"2020-10-01"),
            (b"access-control-expose-headers", b"X-Request-ID"),
            (b"x-ratelimit-limit-requests", b"%d" % LIMIT_REQUESTS),
            (b"x-ratelimit-limit-tokens", b"%d" % LIMIT_TOKENS),
            (b"x-ratelimit-remaining-requests", b"%d" % (LIMIT_REQUESTS - 1)),
            (b"x-ratelimit-reset-requests", b"2ms"),
            (b"x-ratelimit-reset-tokens", b"6ms"),
            (b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload"),
            (b"cf-cache-status", b"DYNAMIC"),
            (
                b"set-cookie",
                b"__cf_bm=%b; path=/; domain=.api.openai.com; HttpOnly; Secure; SameSite=None"
                % cookie.encode(),
            ),
            (b"x-content-type-options", b"nosniff"),
            (b"server", b"cloudflare"),
        ]
        self._date_at = 0
        self._date = b""

    def reply(self, upstream_id: str, started_ns: int, input_tokens: int) -> Headers:
        """The fields of a JSON reply, without its length; the content type comes first."""
        return self._fields(b"application/json", upstream_id, started_ns, input_tokens)

    def stream(self, upstream_id: str, started_ns: int, input_tokens: int) -> Headers:
        """The fields of an event stream."""
        return self._fields(
            b"text/event-stream; charset=utf-8", upstream_id, started_ns, input_tokens
        )

    def _fields(
        self, content_type: bytes, upstream_id: str, started_ns: int, input_tokens: int
    ) -> Headers:
        now = time.time_ns() // 1_000_000_000
        if now != self._date_at:
            self._date_at, self._date = now, formatdate(now, usegmt=True).encode()
        id_ = upstream_id.encode()
        return [
            (b"content-type", content_type),
            (b"date", self._date),
            (b"x-request-id", id_),
            (b"openai-processing-ms", b"%d" % ((time.perf_counter_ns() - started_ns) // 1_000_000)),
            (b"x-ratelimit-remaining-tokens", b"%d" % (LIMIT_TOKENS - input_tokens)),
            (b"cf-ray", b"%b-FRA" % id_[-16:]),
            *self._fixed,
        ]
