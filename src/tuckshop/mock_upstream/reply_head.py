"""The header fields of a reply: those of the real provider and of the network before it."""

from __future__ import annotations

import secrets
import time
from email.utils import formatdate
from typing import Final

from tuckshop.mock_upstream.faults import ORGANISATION

PROJECT: Final = "proj_TUCKSHOPmockproject"
LIMIT_REQUESTS: Final = 30_000
LIMIT_TOKENS: Final = 150_000_000


class ReplyHead:
    """Makes the fields of each reply; those that never change are made once."""

    def __init__(self) -> None:
        cookie = secrets.token_urlsafe(32)
        self._fixed = (
            f"openai-organization: {ORGANISATION}\r\n"
            f"openai-project: {PROJECT}\r\n"
            "openai-version: 2020-10-01\r\n"
            "access-control-expose-headers: X-Request-ID\r\n"
            f"x-ratelimit-limit-requests: {LIMIT_REQUESTS}\r\n"
            f"x-ratelimit-limit-tokens: {LIMIT_TOKENS}\r\n"
            f"x-ratelimit-remaining-requests: {LIMIT_REQUESTS - 1}\r\n"
            "x-ratelimit-reset-requests: 2ms\r\n"
            "x-ratelimit-reset-tokens: 6ms\r\n"
            "strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n"
            "cf-cache-status: DYNAMIC\r\n"
            f"set-cookie: __cf_bm={cookie}; path=/; domain=.api.openai.com; HttpOnly; Secure; SameSite=None\r\n"
            "x-content-type-options: nosniff\r\n"
            "server: cloudflare\r\n"
        ).encode()
        self._date_at = 0
        self._date = b""

    def fields(
        self,
        upstream_id: str,
        started_ns: int,
        *,
        input_tokens: int = 0,
        content_type: bytes = b"application/json",
    ) -> bytes:
        """The fields of a reply, without those of its framing."""
        now = time.time_ns() // 1_000_000_000
        if now != self._date_at:
            self._date_at, self._date = now, formatdate(now, usegmt=True).encode()
        return (
            b"content-type: %b\r\ndate: %b\r\nx-request-id: %b\r\nopenai-processing-ms: %d\r\n"
            b"x-ratelimit-remaining-tokens: %d\r\ncf-ray: %b-FRA\r\n%b"
        ) % (
            content_type,
            self._date,
            id_ := upstream_id.encode(),
            (time.perf_counter_ns() - started_ns) // 1_000_000,
            LIMIT_TOKENS - input_tokens,
            id_[-16:],
            self._fixed,
        )
