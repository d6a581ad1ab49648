"""
An answer of the upstream that is none: what the client is told in its place, and whether it cost anything.

Nobody sees what an upstream says of our credential or our account (section 10); both raise an alarm.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from tuckshop.domain.errors import (
    RefusalError,
    UpstreamOverloadedError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from tuckshop.domain.watch import Watch
from tuckshop.gateway import outcome
from tuckshop.gateway.reply_head import ReplyHead
from tuckshop.upstreams.circuit import PAUSE_S, REFUSALS_MIN, Circuit, Refusal

_log: Final = logging.getLogger(__name__)


class Verdict(NamedTuple):
    """What an error comes to."""

    refusal: RefusalError | None  # None: the upstream's own words are relayed
    is_unbilled: bool  # proof enough to give the hold back (M10)
    refuses_us: Refusal | None  # whoever calls: our credential, or our account's empty purse
    error: str  # for the log


def verdict_on(head: ReplyHead, body: bytes, *, upstream: str, watch: Watch) -> Verdict:
    """The verdict on an answer of the *upstream* of this name that is no success."""
    status = head.status
    told = outcome.provider_error(body)
    is_broke = status == 429 and told is not None and outcome.is_out_of_money(*told)
    if is_broke:
        watch.alarm("upstream_money")
        _log.error("the account at the upstream %s is out of money", upstream)
    elif status in (401, 403):
        watch.alarm("upstream_auth")
        _log.error("the upstream %s refuses our credential (%d)", upstream, status)
    refusal = _refusal_for(head, told, is_broke=is_broke)
    # A 403 may be about one model only.
    refuses_us: Refusal | None = "money" if is_broke else "credential" if status == 401 else None
    if told is not None and status >= 400:
        return Verdict(refusal, True, refuses_us, told[0] or told[1] or f"http_{status}")
    # 401 and 403, whoever says so: nobody was let in.
    return Verdict(refusal, status in (401, 403), refuses_us, f"http_{status}")


def note_on(circuit: Circuit, upstream: str, refuses_us: Refusal | None, now_s: float) -> None:
    """Tell the circuit to *upstream* of an error, and the log when that opens it."""
    if refuses_us is None:
        circuit.answered()
    elif circuit.refused(now_s, refuses_us):
        _log.error(
            "the upstream %s refused us %d times in a row: until it is tried again, every %g s, its calls are refused"
            " here; `tuckshop upstream edit %s --credential` gives it another credential",
            upstream,
            REFUSALS_MIN,
            PAUSE_S,
            upstream,
        )


def _refusal_for(
    head: ReplyHead, told: tuple[str | None, str | None] | None, *, is_broke: bool
) -> RefusalError | None:
    status = head.status
    if is_broke or status in (401, 403):
        return UpstreamUnavailableError(retryable=False)
    if status in (429, 503, 529):
        return UpstreamOverloadedError(
            retry_after=head.retry_after, retry_after_ms=head.retry_after_ms
        )
    if status == 504:
        return UpstreamTimeoutError()
    if status < 400 or status >= 500 or told is None:
        return UpstreamUnavailableError()
    return None
