"""Refusals in OpenAI's format, as its client libraries type and retry them; and its own errors, cleaned."""

from __future__ import annotations

import json
import math
import re
from typing import Final

from tuckshop.domain.errors import (
    InsufficientQuotaError,
    InvalidRequestError,
    MethodNotAllowedError,
    RateLimitExceededError,
    RefusalError,
    RequestExceedsLimitError,
    ServerBusyError,
    UpstreamOverloadedError,
    UpstreamUnavailableError,
)
from tuckshop.domain.limits import Metric
from tuckshop.protocols.openai.cleaning import clean_json
from tuckshop.protocols.openai.headers import Headers, limit_headers
from tuckshop.protocols.sentences import quoted, sentence

# Longer waits are not honoured by every client library: some would try again at once.
_HONOURED_WAIT_S: Final = 60.0
_HELD_WAIT_S: Final = 2.0
_PLAIN_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_RETRY_AFTER: Final = re.compile(r"[A-Za-z0-9 ,:.+-]{1,40}")  # seconds, or a date
_NO_RETRY: Final = (b"x-should-retry", b"false")
_TOKENS: Final = frozenset({Metric.TOKENS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS})


def refusal(error: RefusalError, *, now_us: int, request_id: str) -> tuple[int, Headers, bytes]:
    """(status, header fields, body) of the reply that tells *error*; framing is the edge's."""
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"x-request-id", request_id.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    headers += _advice(error)
    if isinstance(
        error, InsufficientQuotaError | RateLimitExceededError | RequestExceedsLimitError
    ):
        states = [error.state] if error.state is not None else []
        headers += limit_headers(states, now_us)
    return error.status, headers, _body(error)


def stream_error(error: RefusalError) -> bytes:
    """The event that tells *error* inside a stream whose head is out: client libraries raise on it."""
    return b"data: " + _body(error) + b"\n\n"


def typed_stream_error(error: RefusalError, sequence_number: int) -> bytes:
    """The same in a stream of typed events, such as that of the Responses API."""
    told = {
        "type": "error",
        "code": error.code,
        "message": sentence(error),
        "param": None if error.param is None else quoted(error.param),
        "sequence_number": sequence_number,
    }
    text = json.dumps(told, ensure_ascii=False).encode(errors="replace")
    return b"event: error\ndata: " + text + b"\n\n"


def type_of(error: RefusalError) -> str:
    """`error.type`, by the contract's rule."""
    if isinstance(error, InsufficientQuotaError):
        return "insufficient_quota"
    if isinstance(error, RateLimitExceededError):
        is_tokens = error.state is not None and error.state.limit.metric in _TOKENS
        return "tokens" if is_tokens else "requests"
    return "server_error" if error.status >= 500 else "invalid_request_error"


def clean_upstream_error(body: bytes, credential: str = "") -> bytes:
    """An error body of the upstream without credentials (*credential* is its own), organisation and project ids."""
    return clean_json(body, credential)


def bad_tag(max_chars: int) -> InvalidRequestError:
    """The refusal of an `x-tuckshop-tag` that is none."""
    return InvalidRequestError(
        f"x-tuckshop-tag is not visible ASCII of up to {max_chars} characters"
    )


def _body(error: RefusalError) -> bytes:
    told = {
        "message": sentence(error),
        "type": type_of(error),
        "param": None if error.param is None else quoted(error.param),
        "code": error.code,
    }
    text = json.dumps({"error": told}, ensure_ascii=False)
    # A path or a name may hold what UTF-8 cannot carry; it is only said back.
    return text.encode(errors="replace")


def _advice(error: RefusalError) -> Headers:
    """Whether and when to try again, in the fields that client libraries obey."""
    if isinstance(error, InsufficientQuotaError):
        return [_NO_RETRY]
    if isinstance(error, RateLimitExceededError):
        return _wait(_HELD_WAIT_S if error.held_by else error.retry_after_s)
    if isinstance(error, ServerBusyError):
        return _wait(error.retry_after_s) if error.retryable else [_NO_RETRY]
    if isinstance(error, UpstreamUnavailableError):
        return [] if error.retryable else [_NO_RETRY]
    if isinstance(error, UpstreamOverloadedError):
        return _upstreams_wait(error)
    if isinstance(error, MethodNotAllowedError):
        return [(b"allow", ", ".join(error.allowed).encode())]
    return []


def _wait(seconds: float) -> Headers:
    # Rounded up: who waits that long is let in.
    headers: Headers = [
        (b"retry-after", b"%d" % max(1, math.ceil(seconds))),
        (b"retry-after-ms", b"%d" % max(1, math.ceil(seconds * 1000))),
    ]
    return [*headers, _NO_RETRY] if seconds > _HONOURED_WAIT_S else headers


def _upstreams_wait(error: UpstreamOverloadedError) -> Headers:
    """The upstream's own words where they are what they should be: they come from outside."""
    headers: Headers = []
    wait_s = 0.0
    if error.retry_after is not None and _RETRY_AFTER.fullmatch(error.retry_after):
        headers.append((b"retry-after", error.retry_after.encode()))
        if _PLAIN_SECONDS.fullmatch(error.retry_after):
            wait_s = float(error.retry_after)
    if error.retry_after_ms is not None and _PLAIN_SECONDS.fullmatch(error.retry_after_ms):
        headers.append((b"retry-after-ms", error.retry_after_ms.encode()))
        wait_s = float(error.retry_after_ms) / 1000
    return [*headers, _NO_RETRY] if wait_s > _HONOURED_WAIT_S else headers
