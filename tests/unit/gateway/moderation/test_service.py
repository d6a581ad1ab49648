"""Questions to a moderation service that is down, slow, asked too often or lying (section 12)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, cast

import pytest

from tests.support.fake_clock import FakeClock
from tests.unit.gateway.test_dispatch import FakePool, upstream
from tuckshop.domain.moderation import CATEGORIES, Judged
from tuckshop.gateway.moderation import service as module
from tuckshop.gateway.moderation.service import ModerationService, NoVerdictError, ServiceLimits
from tuckshop.gateway.moderation.verdicts import Verdicts
from tuckshop.protocols.openai.moderations import (
    OVERLAP_CHARACTERS,
    PIECE_CHARACTERS,
    QUESTION_CHARACTERS,
    QUESTION_TEXTS,
)
from tuckshop.upstreams.asking import Answer, Problem

PICTURE = "data:image/png;base64,AAAA"


def verdict(body: bytes, *, count: int | None = None) -> bytes:
    """What an honest service says to the question *body*; BAD is violence."""
    entries = json.loads(body)["input"]
    results = []
    for entry in entries[:count]:
        is_bad = "BAD" in json.dumps(entry)
        scores = dict.fromkeys(CATEGORIES, 0.1) | ({"violence": 0.9} if is_bad else {})
        flagged = {name: score > 0.5 for name, score in scores.items()}
        results.append({"flagged": is_bad, "categories": flagged, "category_scores": scores})
    return json.dumps({"results": results}).encode()


class Desk:
    """A service that answers as *script* says, question by question, and honestly after that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *script: Answer | Problem) -> None:
        self.script = list(script)
        self.questions: list[list[Any]] = []
        self.told: list[str] = []
        self.clock = FakeClock()
        monkeypatch.setattr(module, "ask", self._ask)

    async def _ask(self, upstream: Any, method: str, path: str, body: bytes, **_: Any) -> Any:
        assert (method, path) == ("POST", "/moderations")
        self.questions.append(json.loads(body)["input"])
        if self.script:
            return self.script.pop(0)
        return Answer(status=200, headers=[], body=verdict(body))

    def get(self, name: str) -> Any:
        return upstream(FakePool()) if name == "openai" else None

    def moderation_asked(self, outcome: str) -> None:
        self.told.append(outcome)

    def judge(
        self, *asked: tuple[Sequence[str], Sequence[str]], service: str = "openai"
    ) -> tuple[list[Judged], list[Judged | None]]:
        """The answer to the last of *asked*: texts and pictures."""

        async def main() -> tuple[list[Judged], list[Judged | None]]:
            moderation = ModerationService(
                upstreams=cast("Any", self),
                verdicts=Verdicts(b"secret", self.clock),
                clock=self.clock,
                loop=asyncio.get_running_loop(),
                watch=cast("Any", self),
                limits=ServiceLimits(),
            )
            found: tuple[list[Judged], list[Judged | None]] = [], []
            async with asyncio.timeout(5):
                for texts, pictures in asked:
                    found = await moderation.judge(service, texts, pictures, asker="a")
            moderation.close()
            return found

        return asyncio.run(main())


def failed(status: int, **headers: str) -> Answer:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Answer(status=status, headers=fields, body=b"{}")


def test_each_text_has_its_own_verdict_and_equal_ones_are_asked_about_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(monkeypatch)

    judged, _ = desk.judge((["fine", "BAD", "fine"], []))

    assert [one.flagged for one in judged] == [frozenset(), {"violence"}, frozenset()]
    assert desk.questions == [["fine", "BAD"]]


def test_what_was_judged_is_remembered_and_only_what_is_new_is_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(monkeypatch)

    judged, seen = desk.judge((["one"], [PICTURE]), (["one", "BAD"], [PICTURE]))

    assert [sorted(one.flagged) for one in judged] == [[], ["violence"]]
    assert seen == [judged[0]]
    assert desk.questions[2:] == [["BAD"]]


def test_a_word_on_the_edge_of_two_pieces_is_seen_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long inputs are split with overlap, and a text is what the worst of its pieces is."""
    desk = Desk(monkeypatch)
    text = "x" * (PIECE_CHARACTERS - 1) + "BAD" + "y" * 3 * PIECE_CHARACTERS

    ((judged,), _) = desk.judge(([text], []))

    assert judged.flagged == {"violence"}
    assert judged.scores["violence"] == 0.9
    pieces = [piece for question in desk.questions for piece in question]
    assert all(len(piece) <= PIECE_CHARACTERS for piece in pieces)
    assert pieces[0][-OVERLAP_CHARACTERS:] == pieces[1][:OVERLAP_CHARACTERS]


def test_no_question_is_longer_than_a_small_account_may_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(monkeypatch)

    judged, _ = desk.judge(([f"{n} " * 500 for n in range(100)], []))

    assert len(judged) == 100
    for question in desk.questions:
        assert len(question) <= QUESTION_TEXTS
        assert sum(map(len, question)) <= QUESTION_CHARACTERS


def test_one_that_is_asked_too_often_is_asked_again_when_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(monkeypatch, failed(429, retry_after_ms="0"), failed(429, retry_after="0"))

    ((judged,), _) = desk.judge((["BAD"], []))

    assert judged.flagged == {"violence"}
    assert desk.told == ["rate_limited", "rate_limited", "answered"]


@pytest.mark.parametrize("problem", [failed(500), "timeout", "reset", "too_long"])
def test_one_that_is_down_is_asked_twice_and_no_more(
    monkeypatch: pytest.MonkeyPatch, problem: Any
) -> None:
    once = Desk(monkeypatch, problem)
    ((judged,), _) = once.judge((["BAD"], []))
    assert judged.flagged == {"violence"}

    twice = Desk(monkeypatch, problem, problem)
    with pytest.raises(NoVerdictError):
        twice.judge((["BAD"], []))
    assert twice.told == ["failed", "failed"]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_one_that_refuses_us_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    desk = Desk(monkeypatch, failed(status))

    with pytest.raises(NoVerdictError):
        desk.judge((["Hello."], []))

    assert len(desk.questions) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{nonsense",
        b'{"results": []}',
        verdict(b'{"input": ["one", "two", "three"]}'),
        verdict(b'{"input": ["one", "two"]}').replace(b'"violence":', b'"rudeness":'),
        verdict(b'{"input": ["one", "two"]}').replace(b"0.1", b"-0.1"),
        verdict(b'{"input": ["one", "two"]}').replace(b"false", b"true", 1),
    ],
)
def test_a_lie_is_no_verdict_on_anything(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """A wrong number, a category that is missing, a score that cannot be, a contradiction."""
    desk = Desk(monkeypatch, Answer(status=200, headers=[], body=body))

    with pytest.raises(NoVerdictError):
        desk.judge((["one", "two"], []))

    assert desk.told == ["failed"]


def test_a_picture_that_the_service_cannot_take_is_one_that_nobody_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(monkeypatch, failed(400))

    assert desk.judge(([], [PICTURE])) == ([], [None])
    part = {"type": "image_url", "image_url": {"url": PICTURE}}
    assert desk.questions == [[part]]


def test_an_upstream_that_is_gone_gives_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoVerdictError):
        Desk(monkeypatch).judge((["one"], []), service="gone")


def test_a_picture_is_looked_at_though_its_address_was_read_as_a_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Letters of base64 are harmless, and what they show may not be."""
    desk = Desk(monkeypatch)
    bad = "data:image/png;base64,BAD="

    _, seen = desk.judge(([bad], []), ([], [bad]), ([bad], [bad]))

    assert seen[0] is not None
    assert len(desk.questions) == 2
    assert desk.questions[1][0]["type"] == "image_url"


@pytest.mark.parametrize(
    "texts",
    [
        [str(number) for number in range(module.TEXTS_MAX + 1)],
        ["x" * (module.CHARACTERS_MAX + 1)],
    ],
    ids=["texts", "characters"],
)
def test_what_cannot_be_checked_in_time_is_not_begun(
    monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> None:
    """Nobody's call holds up the loop, or takes all turns, for a verdict that would come too late."""
    desk = Desk(monkeypatch)

    with pytest.raises(NoVerdictError, match="more than can be checked"):
        desk.judge((texts, []))

    assert desk.questions == []
