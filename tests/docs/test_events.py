"""The page about events names every kind, and its program tells what comes from tuckshop (K20)."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tuckshop.domain.notices import NOTICE_KINDS
from tuckshop.domain.spending import HOURS_MIN, LEAST_NANO, PAST_DAYS, TIMES
from tuckshop.domain.webhooks import new_webhook_secret, signature_of
from tuckshop.services.notices.budgets import MEMBER_PERCENT, REFUSED_PERCENT, SHARED_PERCENT
from tuckshop.services.notices.deliveries import DEAD_AFTER_US, PAUSED_AFTER_US, WAITS_S
from tuckshop.upstreams.posting import POST_TIMEOUT_S

PAGE = (Path(__file__).parents[2] / "docs/reference/events.md").read_text(encoding="utf-8")
DAY_US = 86_400_000_000


def receiving() -> Any:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(program, "docs/reference/events.md", "exec"), names)  # noqa: S102 - our own page
    return names["event_of"]


def headers(secret: str, body: bytes, *, ago_s: int = 0) -> dict[str, str]:
    at_s = int(time.time()) - ago_s
    signature = signature_of(secret, message_id="ntc_1", at_s=at_s, body=body)
    return {
        "webhook-id": "ntc_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,AAAA {signature}",
    }


def test_the_program_takes_what_is_signed_once() -> None:
    """K20: and by its id it knows a repeat."""
    secret, body, event_of = new_webhook_secret(), b'{"type":"flag"}', receiving()

    assert event_of(secret, headers(secret, body), body) == {"type": "flag"}
    assert event_of(secret, headers(secret, body, ago_s=60), body) is None


def test_the_program_takes_nothing_that_is_not() -> None:
    """K20: another secret, another body, another time, a message that is replayed later."""
    secret, body, event_of = new_webhook_secret(), b'{"type":"flag"}', receiving()
    late = headers(secret, body) | {"webhook-timestamp": str(int(time.time()) + 1)}

    for signed, came in (
        (headers(new_webhook_secret(), body), body),
        (headers(secret, body), body + b" "),
        (late, body),
        (headers(secret, body, ago_s=301), body),
    ):
        with pytest.raises(ValueError, match=r"not signed|too old"):
            event_of(secret, signed, came)


def test_every_kind_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)

    assert rows == [*NOTICE_KINDS, "test"]


def test_the_numbers_are_those_of_the_code() -> None:
    told = "after 5 s, 30 s, 2 min, 10 min, 30 min, 2 h, 6 h, 12 h and 24 h"

    assert told in re.sub(r"\s+", " ", PAGE)
    assert WAITS_S == (5, 30, 120, 600, 1_800, 7_200, 21_600, 43_200, 86_400)
    assert (MEMBER_PERCENT, SHARED_PERCENT, REFUSED_PERCENT) == ((80, 100), (50, 80, 100), 90)
    assert (HOURS_MIN, TIMES, LEAST_NANO, PAST_DAYS) == (3, 5, 50_000_000, 14)
    assert (DEAD_AFTER_US, PAUSED_AFTER_US, POST_TIMEOUT_S) == (3 * DAY_US, 5 * DAY_US, 15)
