"""Limits as a slip or a page says them."""

from __future__ import annotations

import pytest

from tuckshop.domain.limits import parse_limit
from tuckshop.domain.reservation import LimitInForce, Scope, ScopeKind
from tuckshop.domain.windows import ZoneHistory
from tuckshop.services.limit_words import UNSEEN, sentences

NOW_US = 1_795_500_000_000_000  # 2026-11-24 06:00 UTC
BERLIN = ZoneHistory.of("Europe/Berlin")


def in_force(text: str, kind: ScopeKind = "member", *, visible: bool = True) -> LimitInForce:
    return LimitInForce(
        scope=Scope(kind, "x"), limit=parse_limit(text), zone=BERLIN, amounts_visible=visible
    )


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("$0.20/month", "$0.20 a month, renews 1 Dec 00:00 (Europe/Berlin)"),
        ("$1/year", "$1 a year, renews 1 Jan 00:00 (Europe/Berlin)"),
        ("$0.05/day", "$0.05 a day, renews 25 Nov 00:00 (Europe/Berlin)"),
        ("$1 total", "$1 in all"),
        ("35 rpm on gpt-4o-mini", "35 requests a minute on gpt-4o-mini"),
        ("1 request/hour", "1 request an hour"),
        ("200 requests/5 hours on endpoint:chat", "200 requests in any 5 hours on all of chat"),
        ("4 concurrent requests", "4 calls at a time"),
        ("1 concurrent request", "1 call at a time"),
        ("1600 input tokens/minute", "1600 input tokens a minute"),
    ],
)
def test_a_limit_is_said_as_people_say_it(limit: str, words: str) -> None:
    assert sentences([in_force(limit)], NOW_US) == [words]


def test_whose_a_limit_is_is_told_and_amounts_of_others_are_not() -> None:
    """K21."""
    limits = [
        in_force("$1 total", "key"),
        in_force("$50 total", "group"),
        in_force("$99 total", "group", visible=False),
        in_force("$999 total", "workspace", visible=False),
    ]

    assert sentences(limits, NOW_US) == [
        "$1 in all, with this key",
        "$50 in all, for all members together",
        UNSEEN,
    ]
