"""What becomes of a verdict: which content a flag is of, what is dropped, what is noted (section 12)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, cast

import pytest

from tests.unit.gateway.relay_kit import Counter
from tests.unit.gateway.test_dispatch import FakePool, upstream
from tuckshop.domain.errors import ModerationBlockedError, ServerBusyError
from tuckshop.domain.flags import NewFlag
from tuckshop.domain.moderation import CATEGORIES, Judged, Moderation
from tuckshop.gateway.body_size import OFF_LOOP_BYTES
from tuckshop.gateway.call import Call
from tuckshop.gateway.moderation.moderator import BesideLimits, Moderator
from tuckshop.gateway.moderation.notes import Notes
from tuckshop.gateway.moderation.reading import ContentsReader
from tuckshop.gateway.moderation.service import NoVerdictError, ServiceLimits
from tuckshop.protocols.openai.contents import Contents, contents_of

SCORES = dict.fromkeys(CATEGORIES, 0.01)


class Service:
    """Flags whatever holds the name of a category in capitals."""

    limits = ServiceLimits(verdict_timeout_s=0.2)

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str], str]] = []
        self.hangs = False
        self.is_down = False

    async def judge(
        self, service: str, texts: Sequence[str], pictures: Sequence[str], *, asker: str
    ) -> tuple[list[Judged], list[Judged | None]]:
        self.asked.append((service, list(texts), asker))
        if self.hangs:
            await asyncio.sleep(5)
        if self.is_down:
            raise NoVerdictError("it is down")
        return [_judged(text) for text in texts], [None for _ in pictures]

    def close(self) -> None: ...


def _judged(text: str) -> Judged:
    text = text.replace("SELF\nHARM", "SELF-HARM")
    flagged = frozenset(name for name in CATEGORIES if name.upper() in text)
    return Judged(flagged, SCORES | dict.fromkeys(flagged, 0.9))


class Watching:
    def __init__(self) -> None:
        self.told: list[str] = []

    def moderated(self, outcome: str) -> None:
        self.told.append(outcome)


class BodiesElsewhere:
    async def contents(self, endpoint: Any, body: bytes, *, profile: Any, asker: str) -> Contents:
        return contents_of(endpoint, body, profile=profile)


class Desk:
    """A moderator, and calls of one member."""

    def __init__(self, *levels: Moderation, beside: BesideLimits | None = None) -> None:
        self.service, self.watch = Service(), Watching()
        self.flags: list[NewFlag] = []
        self.levels = levels
        self.moderator = Moderator(
            service=cast("Any", self.service),
            reader=ContentsReader(cast("Any", BodiesElsewhere()), cast("Any", self)),
            notes=Notes(cast("Any", self), b"secret"),
            watch=cast("Any", self.watch),
            beside=beside,
        )

    def note(self, flag: NewFlag) -> None:
        self.flags.append(flag)

    def call(self) -> Call:
        return Counter(group={"moderation": self.levels[0]}).relay.call

    async def check(self, *messages: tuple[str, str], profile: Any = "openai") -> frozenset[str]:
        there = upstream(FakePool(), profile=profile)
        return frozenset(await self.moderator.check(self.call(), there, body_of(*messages)))

    def beside(self, *messages: tuple[str, str]) -> None:
        self.moderator.check_beside(self.call(), upstream(FakePool()), body_of(*messages))


def body_of(*messages: tuple[str, str]) -> bytes:
    said = [{"role": role, "content": text} for role, text in messages]
    return json.dumps({"model": "gpt-4o-mini", "messages": said}).encode()


def blocked(desk: Desk, *messages: tuple[str, str]) -> NewFlag:
    with pytest.raises(ModerationBlockedError):
        asyncio.run(desk.check(*messages))
    (flag,) = desk.flags
    desk.flags.clear()
    return flag


BLOCK = Moderation(mode="block")


def test_a_flag_is_of_what_the_member_said_last_themselves() -> None:
    desk = Desk(BLOCK)
    document, own, later = ("tool", "HATE"), ("user", "VIOLENCE"), ("user", "SEXUAL")

    assert blocked(desk, document).is_own is False
    assert blocked(desk, own, document).reasons == ("violence",)
    assert blocked(desk, document, own, later).reasons == ("sexual",)
    assert blocked(desk, own, later, document).is_own


def test_equal_contents_are_one_however_they_are_spaced_and_others_are_not() -> None:
    """Strikes count distinct contents once."""
    desk = Desk(BLOCK)
    first = blocked(desk, ("user", "VIOLENCE  and more"))

    assert blocked(desk, ("user", " VIOLENCE AND\nmore")).content == first.content
    assert blocked(desk, ("user", "VIOLENCE and less")).content != first.content
    assert b"VIOLENCE" not in first.content
    assert (first.source, first.action, first.scores) == (
        "moderation",
        "blocked",
        {"violence": 0.9},
    )


def test_what_only_shows_together_is_flagged_by_all_of_it() -> None:
    desk = Desk(BLOCK)

    with pytest.raises(ModerationBlockedError) as raised:
        asyncio.run(desk.check(("user", "SELF"), ("user", "HARM")))

    assert raised.value.param is None
    assert desk.flags[0].is_own


@pytest.mark.parametrize(("profile", "upstream_name"), [("openai", None), ("compatible", "ours")])
def test_the_service_is_the_calls_own_or_the_one_that_the_policy_names(
    profile: str, upstream_name: str | None
) -> None:
    desk = Desk(Moderation(mode="block", upstream=upstream_name or ""))

    asyncio.run(desk.check(("user", "Hello."), profile=profile))

    assert desk.service.asked == [(upstream_name or "openai", ["Hello."], "mem_a")]


def test_an_upstream_that_offers_none_is_one_that_is_down() -> None:
    """A group may have been given such an upstream after its mode was set."""
    desk = Desk(BLOCK)

    with pytest.raises(ServerBusyError):
        asyncio.run(desk.check(("user", "Hello."), profile="compatible"))

    assert desk.watch.told == ["unavailable"]


@pytest.mark.parametrize("fault", ["hangs", "is_down"])
def test_without_a_verdict_a_call_is_refused_or_marked(fault: str) -> None:
    closed, opened = Desk(BLOCK), Desk(Moderation(mode="block", fail="open"))
    for desk in (closed, opened):
        setattr(desk.service, fault, True)

    with pytest.raises(ServerBusyError):
        asyncio.run(closed.check(("user", "Hello.")))

    assert asyncio.run(opened.check(("user", "Hello."))) == {"unchecked"}
    assert opened.watch.told == ["unchecked"]


def test_a_large_body_is_read_elsewhere() -> None:
    """Section 8."""
    desk = Desk(BLOCK)

    assert blocked(desk, ("user", "VIOLENCE"), ("user", "x" * OFF_LOOP_BYTES)).is_own


async def _beside() -> Desk:
    desk = Desk(Moderation(mode="log"), beside=BesideLimits(calls=2, body_bytes=10_000))
    desk.beside(("user", "VIOLENCE"))
    desk.beside(("user", "x" * 10_000))
    desk.beside(("user", "Hello."))
    desk.beside(("user", "VIOLENCE again"))
    for _ in range(5):
        await asyncio.sleep(0)
    desk.beside(("user", "Hello."))
    await asyncio.sleep(0)
    await desk.moderator.close()
    return desk


def test_beside_calls_only_so_many_are_looked_at_and_the_rest_is_counted() -> None:
    desk = asyncio.run(_beside())

    assert desk.watch.told == ["dropped", "dropped", "noted", "passed", "passed"]
    (flag,) = desk.flags
    assert flag.action == "noted"


def test_a_policy_that_only_logs_makes_no_call_wait() -> None:
    desk = Desk(Moderation(mode="log"))

    assert asyncio.run(desk.check(("user", "VIOLENCE"))) == frozenset()
    assert desk.service.asked == []
