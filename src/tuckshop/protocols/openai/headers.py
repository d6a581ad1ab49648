"""Header fields, both ways: what goes up, what comes down, and how limits are told in OpenAI's format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from tuckshop.domain.limits import Limit, Metric
from tuckshop.domain.money import usd_text
from tuckshop.domain.reservation import LimitState, Reading, Scope

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
    standing: Headers,
    upstream_request_id: str | None,
    cost_usd: str | None,
    output_cap: bytes | None,
) -> Headers:
    """
    The fields of a reply that is passed on; framing is the edge's.

    Args:
        standing: Those of `Telling`.
        output_cap: As `output_cap` words it.
    """
    headers: Headers = [
        (b"content-type", content_type),
        (b"x-request-id", request_id.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if is_stream:
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
    if upstream_request_id is not None:
        headers.append((b"x-tuckshop-upstream-request-id", field_value(upstream_request_id)))
    headers += standing
    if cost_usd is not None:
        headers.append((b"x-tuckshop-cost-usd", cost_usd.encode()))
    if output_cap is not None:
        headers.append((b"x-tuckshop-output-cap", output_cap))
    return headers


class Told(Protocol):
    """A limit, as far as it matters what may be told of it."""

    @property
    def limit(self) -> Limit: ...
    @property
    def scope(self) -> Scope: ...
    @property
    def amounts_visible(self) -> bool: ...


class Telling:
    """
    How limits are told to the holder, of none nothing; the same for all calls of a kind, so it is worked out once.

    `x-ratelimit-*` tells the tightest on requests and on tokens, the budget the tightest of the holder's own money
    limits: a group's purse is not the holder's to see.
    """

    __slots__ = ("_budget", "_rates")

    def __init__(self, limits: Sequence[Told]) -> None:
        # Of each limit that may be told: at which place of the readings it stands, and its amount.
        self._budget: list[tuple[int, int]] = []
        rates: dict[tuple[bytes, ...], list[tuple[int, int]]] = {
            _REQUEST_FIELDS: [],
            _TOKEN_FIELDS: [],
        }
        for place, told in enumerate(limits):
            limit = told.limit
            if not told.amounts_visible:
                continue
            if limit.metric is Metric.MONEY and told.scope.kind in _HOLDERS_OWN:
                self._budget.append((place, limit.amount))
            elif limit.metric in _TOLD_IN:
                rates[_TOLD_IN[limit.metric]].append((place, limit.amount))
        self._rates = [(fields, places) for fields, places in rates.items() if places]

    def fields(
        self, readings: Sequence[Reading], now_us: int, *, held_nano: int = 0, cost_nano: int = 0
    ) -> Headers:
        """
        The fields that tell it.

        Args:
            readings: How each of the limits stands.
            held_nano, cost_nano: Of the budget, what is held no longer, and what was used in its place.
        """
        headers: Headers = []
        for (limit_name, remaining_name, reset_name), places in self._rates:
            tightest = None
            for place, amount in places:
                used, reserved, *_ = readings[place]
                standing = max(0, amount - used - reserved), amount, place
                if tightest is None or standing < tightest:
                    tightest = standing
            assert tightest is not None
            left, amount, place = tightest
            resets_at_us = readings[place][2]
            headers.append((limit_name, b"%d" % amount))
            headers.append((remaining_name, b"%d" % left))
            if resets_at_us is not None:
                headers.append((reset_name, go_duration(resets_at_us - now_us).encode()))
        if self._budget:
            budget = None
            for place, amount in self._budget:
                used, reserved, _, lift = readings[place]
                left = amount + lift - used - cost_nano - max(0, reserved - held_nano)
                if budget is None or left < budget:
                    budget = left
            assert budget is not None
            told_usd = usd_text(max(0, budget)).encode()
            headers.append((b"x-tuckshop-budget-remaining-usd", told_usd))
        return headers


def limit_headers(states: Sequence[LimitState], now_us: int) -> Headers:
    """The fields of `Telling` for limits that stand so."""
    readings = [(s.used, s.reserved, s.resets_at_us, s.lift) for s in states]
    return Telling(states).fields(readings, now_us)


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


def output_cap(cap: int, lowered_by: Limit | None, limits: Iterable[Told]) -> bytes:
    """``412; limit="$0.20/month"``; of a limit whose amounts are not the holder's to see, its scope."""
    if lowered_by is None:
        return b"%d" % cap
    of_it = [told for told in limits if told.limit == lowered_by]
    if any(told.amounts_visible for told in of_it):
        named = str(lowered_by)
    else:
        named = of_it[0].scope.kind if of_it else "shared"
    return b'%d; limit="%s"' % (cap, field_value(named.replace('"', "'")))
