"""
Verdicts of an upstream's moderation on texts and pictures.

These are calls of our own: with the upstream's credential, over its own connections, for nothing, and without a row in
the request log. An answer that is not exactly one, a redirect, or an answer without end is none at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tuckshop.domain.clock import Clock
from tuckshop.domain.moderation import Checks, Judged
from tuckshop.domain.watch import Watch
from tuckshop.gateway.moderation.turns import Turns
from tuckshop.gateway.moderation.verdicts import Digest, Verdicts
from tuckshop.gateway.ports import Upstreams
from tuckshop.protocols.openai import moderations
from tuckshop.protocols.openai.contents import pieces_of
from tuckshop.protocols.openai.moderations import NoAnswerError
from tuckshop.upstreams.asking import Answer, ask
from tuckshop.upstreams.registry import Upstream

TRIES: Final = (
    2  # of a question that failed; one that came too early is asked until its time is over
)
# Of one call, all that it says together counted again: more would never be judged in time, and reading it holds up
# everybody else's calls.
TEXTS_MAX: Final = 4_096
CHARACTERS_MAX: Final = 4 << 20
AGAIN_S: Final = 1.0  # where a service that is asked too often does not say when to come back
_UNREADABLE: Final = frozenset({400, 413, 422})  # to a question about a picture: it cannot be taken


class NoVerdictError(Exception):
    """The service is down, slow, or answers nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """What may be asked of a service."""

    per_minute: int = 500
    at_once: int = 16
    verdict_timeout_s: float = 10.0  # of all there is to say about one call


class _Question(NamedTuple):
    digests: tuple[Digest, ...]
    body: bytes
    is_picture: bool


def service_for(checks: Checks, upstream: Upstream) -> str:
    """
    The name of the upstream whose moderation judges what goes to *upstream*, or comes from it.

    Raises:
        NoVerdictError: It has none, and the policy names no other.
    """
    if checks.upstream is None and upstream.profile == "compatible":
        raise NoVerdictError(f"the upstream {upstream.name} offers no moderation")
    return checks.upstream or upstream.name


class ModerationService:
    """Whatever upstreams offer moderation. One per server; belongs to one event loop."""

    def __init__(
        self,
        *,
        upstreams: Upstreams,
        verdicts: Verdicts,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        watch: Watch,
        limits: ServiceLimits,
    ) -> None:
        self.limits = limits
        self._upstreams = upstreams
        self._verdicts = verdicts
        self._clock = clock
        self._loop = loop
        self._watch = watch
        self._turns: dict[str, Turns] = {}  # by the upstream's name

    async def judge(
        self, service: str, texts: Sequence[str], pictures: Sequence[str], *, asker: str
    ) -> tuple[list[Judged], list[Judged | None]]:
        """
        What the upstream *service* says of each text and each picture; None: it cannot read that one.

        Args:
            pictures: Data URLs.
            asker: Who it is done for. Those who ask little never wait long for one who asks much.
        Raises:
            NoVerdictError: It does not say, or would not in time.
        """
        if len(texts) > TEXTS_MAX or sum(map(len, texts)) > CHARACTERS_MAX:
            raise NoVerdictError("it says more than can be checked in time")
        pieces = [
            [
                (self._verdicts.digest_of(service, piece), piece)
                for piece in pieces_of(
                    text,
                    most=moderations.PIECE_CHARACTERS,
                    overlap=moderations.OVERLAP_CHARACTERS,
                )
            ]
            for text in texts
        ]
        shown = [self._verdicts.digest_of(service, url, kind="picture") for url in pictures]
        found: dict[Digest, Judged | None] = {}
        needed = [one for some in pieces for one in some if not self._is_known(one[0], found)]
        questions = list(_about_texts(dict(needed)))
        for digest, url in zip(shown, pictures, strict=True):
            if not self._is_known(digest, found):
                body = moderations.ask_about_picture(url)
                questions.append(_Question((digest,), body, is_picture=True))
        if questions:
            await self._ask_all(service, questions, found, asker)
        judged = [_worst(found[digest] for digest, _ in some) for some in pieces]
        return judged, [found[digest] for digest in shown]

    def close(self) -> None:
        """Nobody asks any more."""
        for turns in self._turns.values():
            turns.close()

    def _is_known(self, digest: Digest, found: dict[Digest, Judged | None]) -> bool:
        if digest in found:
            return True
        known = self._verdicts.find(digest)
        if known is not None:
            found[digest] = known
        return known is not None

    async def _ask_all(
        self,
        service: str,
        questions: Sequence[_Question],
        found: dict[Digest, Judged | None],
        asker: str,
    ) -> None:
        upstream = self._upstreams.get(service)
        if upstream is None:
            raise NoVerdictError(f"the upstream {service} is gone")
        try:
            async with asyncio.TaskGroup() as group:
                for question in questions:
                    group.create_task(self._ask(upstream, question, found, asker))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first ended all others

    async def _ask(
        self,
        upstream: Upstream,
        question: _Question,
        found: dict[Digest, Judged | None],
        asker: str,
    ) -> None:
        turns = self._turns_of(upstream.name)
        tries = 0
        while True:
            await turns.take(asker)
            try:
                answer = await ask(
                    upstream,
                    "POST",
                    moderations.PATH,
                    question.body,
                    max_bytes=moderations.ANSWER_MAX_BYTES,
                    timeout_s=self.limits.verdict_timeout_s,
                )
                if isinstance(answer, Answer) and answer.status == 429:
                    turns.pause(_wait_of(answer))
            finally:
                turns.give_back()
            if isinstance(answer, Answer):
                if answer.status == 200:
                    self._take(question, answer.body, found)
                    return
                if question.is_picture and answer.status in _UNREADABLE:
                    self._watch.moderation_asked("answered")
                    found[question.digests[0]] = None
                    return
                if answer.status == 429:
                    self._watch.moderation_asked("rate_limited")
                    continue
            self._watch.moderation_asked("failed")
            tries += 1
            is_hopeless = isinstance(answer, Answer) and answer.status < 500
            if tries == TRIES or is_hopeless:
                said = answer.status if isinstance(answer, Answer) else answer
                raise NoVerdictError(f"the moderation of {upstream.name}: {said}")

    def _take(self, question: _Question, body: bytes, found: dict[Digest, Judged | None]) -> None:
        try:
            judged = moderations.judged_in(body, count=len(question.digests))
        except NoAnswerError as error:
            self._watch.moderation_asked("failed")
            raise NoVerdictError(f"its answer is none: {error}") from None
        self._watch.moderation_asked("answered")
        for digest, one in zip(question.digests, judged, strict=True):
            found[digest] = one
            self._verdicts.keep(digest, one)

    def _turns_of(self, name: str) -> Turns:
        turns = self._turns.get(name)
        if turns is None:
            turns = self._turns[name] = Turns(
                per_minute=self.limits.per_minute,
                at_once=self.limits.at_once,
                clock=self._clock,
                loop=self._loop,
            )
        return turns


def _about_texts(pieces: dict[Digest, str]) -> Iterator[_Question]:
    """Questions about all of *pieces*, as few as may be."""
    digests: list[Digest] = []
    texts: list[str] = []
    characters = 0
    for digest, text in pieces.items():
        is_full = len(texts) == moderations.QUESTION_TEXTS
        if texts and (is_full or characters + len(text) > moderations.QUESTION_CHARACTERS):
            yield _Question(tuple(digests), moderations.ask_about_texts(texts), is_picture=False)
            digests, texts, characters = [], [], 0
        digests.append(digest)
        texts.append(text)
        characters += len(text)
    if texts:
        yield _Question(tuple(digests), moderations.ask_about_texts(texts), is_picture=False)


def _worst(judged: Iterable[Judged | None]) -> Judged:
    """What is said of a whole by what is said of its pieces."""
    flagged: frozenset[str] = frozenset()
    scores: dict[str, float] = {}
    for one in judged:
        assert one is not None
        flagged |= one.flagged
        for name, score in one.scores.items():
            scores[name] = max(score, scores.get(name, 0.0))
    return Judged(flagged, scores)


def _wait_of(answer: Answer) -> float:
    """How long a service asks to wait; a date is no number, and says no more than that it is too early."""
    for name, per_second in ((b"retry-after-ms", 1000), (b"retry-after", 1)):
        value = answer.header(name)
        if value is not None and value.isdigit() and len(value) < 10:
            return int(value) / per_second
    return AGAIN_S
