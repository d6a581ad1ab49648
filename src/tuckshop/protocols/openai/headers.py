"""Header fields, both ways: what goes up, what comes down, and how limits are told in OpenAI's format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tuckshop.domain.limits import Limit, Metric
from tuckshop.domain.money import usd_text
from tuckshop.domain.reservation import LimitState

Headers = list[tuple[bytes, bytes]]

# All that an upstream's reply may bring along; its account, rate and cookie fields stay here (E4).
_CLIENT_MAY_SEE: Final = frozenset({b"content-type", b"retry-after", b"retry-after-ms"})

_REQUEST_FIELDS: Final = (
    b"x-ratelimit-limit-requests",
    b"x-ratelimit-remaining-requests",
    b"x-ratelimit-reset-requests",
)
_TOKEN_FIELDS: Final = (
    b"x-ratelimit-limit-tokens",
    b"x-ratelimit-remaining-tokens",
    b"x-ratelimit-reset-tokens",
)
_TOLD_IN: Final = {
    Metric.REQUESTS: _REQUEST_FIELDS,
    Metric.TOKENS: _TOKEN_FIELDS,
    Metric.INPUT_TOKENS: _TOKEN_FIELDS,
    Metric.OUTPUT_TOKENS: _TOKEN_FIELDS,
}
_HOLDERS_OWN: Final = frozenset({"key", "member"})
_US_PER_MS: Final = 1000


def upstream_headers(*, credential: str, request_id: str, stream: bool) -> Headers:
    """What goes up beside the fields the pool sets (host, length, identity coding): nothing from the client (E4)."""
    return [
        (b"authorization", b"Bearer " + credential.encode("latin-1")),
        (b"content-type", b"application/json"),
        (b"accept", b"text/event-stream" if stream else b"application/json"),
        (b"x-client-request-id", request_id.encode()),
    ]


def client_headers(from_upstream: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Of the fields of an upstream's reply (names in lower case), those that the client may see."""
    return [(name, value) for name, value in from_upstream if name in _CLIENT_MAY_SEE]


def answer_headers(
    *,
    request_id: str,
    content_type: bytes,
    is_stream: bool,
    states: Sequence[LimitState],
    now_us: int,
    upstream_request_id: str | None,
    cost_usd: str | None,
    output_cap: int | None,
    lowered_by: Limit | None,
) -> Headers:
    """The fields of a reply that is passed on; framing is the edge's."""
    headers: Headers = [
        (b"content-type", content_type),
        (b"x-request-id", request_id.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if is_stream:
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
    if upstream_request_id is not None:
        headers.append((b"x-tuckshop-upstream-request-id", field_value(upstream_request_id)))
    headers += limit_headers(states, now_us)
    if cost_usd is not None:
        headers.append((b"x-tuckshop-cost-usd", cost_usd.encode()))
    if output_cap is not None:
        headers.append((b"x-tuckshop-output-cap", _output_cap(output_cap, lowered_by, states)))
    return headers


def limit_headers(states: Iterable[LimitState], now_us: int) -> Headers:
    """
    How the limits stand that the holder may see; of none, nothing.

    `x-ratelimit-*` tells the tightest on requests and on tokens, the budget the tightest of the holder's own money
    limits: a group's purse is not the holder's to see.
    """
    tightest: dict[tuple[bytes, bytes, bytes], tuple[int, int, int | None]] = {}
    budget: int | None = None
    for limit, scope, used, reserved, resets_at_us, is_visible, _ in states:
        if not is_visible:
            continue
        amount, metric = limit.amount, limit.metric
        left = max(0, amount - used - reserved)
        if metric is Metric.MONEY:
            if (budget is None or left < budget) and scope.kind in _HOLDERS_OWN:
                budget = left
            continue
        fields = _TOLD_IN.get(metric)
        if fields is not None:
            found = tightest.get(fields)
            if found is None or (left, amount) < found[:2]:
                tightest[fields] = left, amount, resets_at_us
    headers: Headers = []
    for fields in (_REQUEST_FIELDS, _TOKEN_FIELDS):
        if fields in tightest:
            left, amount, resets_at_us = tightest[fields]
            headers += ((fields[0], b"%d" % amount), (fields[1], b"%d" % left))
            if resets_at_us is not None:
                headers.append((fields[2], go_duration(resets_at_us - now_us).encode()))
    if budget is not None:
        headers.append((b"x-tuckshop-budget-remaining-usd", usd_text(budget).encode()))
    return headers


def go_duration(us: int) -> str:
    """*us* microseconds as Go prints a duration, rounded up to the millisecond: ``20ms``, ``7.66s``, ``6m0s``."""
    ms = max(0, -(-us // _US_PER_MS))
    if 0 < ms < 1000:
        return f"{ms}ms"
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{ms:03d}".rstrip("0") if ms else ""
    text = f"{seconds}{fraction}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def field_value(text: str) -> bytes:
    """*text* as it may stand in a field: visible ASCII and spaces, anything else as a question mark."""
    if text.isascii() and text.isprintable():
        return text.encode("ascii")
    return bytes(ord(c) if " " <= c <= "~" else 0x3F for c in text)


def _output_cap(cap: int, lowered_by: Limit | None, states: Iterable[LimitState]) -> bytes:
    """``412; limit="$0.20/month"``; of a limit whose amounts are not the holder's to see, its scope."""
    if lowered_by is None:
        return b"%d" % cap
    of_it = [state for state in states if state.limit == lowered_by]
    if any(state.amounts_visible for state in of_it):
        named = str(lowered_by)
    else:
        named = of_it[0].scope.kind if of_it else "shared"
    return b'%d; limit="%s"' % (cap, field_value(named.replace('"', "'")))
