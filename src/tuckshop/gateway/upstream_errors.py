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

_log: Final = logging.getLogger(__name__)


class Verdict(NamedTuple):
    """What an error comes to."""

    refusal: RefusalError | None  # None: the upstream's own words are relayed
    is_unbilled: bool  # proof enough to give the hold back (M10)
    error: str  # for the log


def verdict_on(head: ReplyHead, body: bytes, watch: Watch) -> Verdict:
    """The verdict on an answer that is no success."""
    status = head.status
    told = outcome.provider_error(body)
    refusal = _refusal_for(head, told, watch)
    if told is not None and status >= 400:
        return Verdict(refusal, True, told[0] or told[1] or f"http_{status}")
    # 401 and 403, whoever says so: nobody was let in.
    return Verdict(refusal, status in (401, 403), f"http_{status}")


def _refusal_for(
    head: ReplyHead, told: tuple[str | None, str | None] | None, watch: Watch
) -> RefusalError | None:
    status = head.status
    if status in (401, 403):
        watch.alarm("upstream_auth")
        _log.error("the upstream refuses our credential (%d): no call can be served", status)
        return UpstreamUnavailableError(retryable=False)
    if status == 429 and told is not None and outcome.is_out_of_money(*told):
        watch.alarm("upstream_money")
        _log.error("the account at the upstream is out of money: no call can be served")
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
