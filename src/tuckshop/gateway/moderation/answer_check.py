"""The check of what is answered to one call: of pieces that wait for it, or of all of it while the client has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tuckshop.domain.errors import ModerationBlockedError, RefusalError, ServerBusyError
from tuckshop.domain.moderation import Checks, Finding, Judged
from tuckshop.domain.watch import Watch
from tuckshop.gateway.call import Call
from tuckshop.gateway.moderation.notes import Notes
from tuckshop.gateway.moderation.service import ModerationService, NoVerdictError, service_for
from tuckshop.protocols.openai.answers import (
    Place,
    UnreadableReplyError,
    texts_of_events,
    texts_of_reply,
)
from tuckshop.upstreams.registry import Upstream

_log: Final = logging.getLogger(__name__)

EVENTS_AT_ONCE: Final = 64  # of a stream; a millisecond


class AnswerCheck:
    """
    Judges the answer to one call.

    Attributes:
        on_unchecked: Told when something goes on that could not be checked.
    """

    def __init__(
        self,
        call: Call,
        upstream: Upstream,
        checks: Checks,
        *,
        service: ModerationService,
        notes: Notes,
        watch: Watch,
    ) -> None:
        self._call = call
        self._upstream = upstream
        self._checks = checks
        self._service = service
        self._notes = notes
        self._watch = watch
        self._is_noted = False
        self._is_unchecked = False
        self.on_unchecked: Callable[[], None] = lambda: None

    async def judge(self, texts: list[str]) -> RefusalError | None:
        """What the client is to read instead of the answer that holds *texts*; None: it may go on."""
        try:
            async with asyncio.timeout(self._service.limits.verdict_timeout_s):
                found = await self.find(texts)
        except (NoVerdictError, TimeoutError) as error:
            said = str(error) or "in time"
            _log.warning("the answer to %s could not be checked: %s", self._call.request_id, said)
            if self._checks.fails_open:
                self._pass_unchecked()
                return None
            self._watch.moderated("unavailable")
            return ServerBusyError(
                "answers are checked here before they are passed on, and the check does not answer."
                " This one was made, and is charged",
                retryable=False,
            )
        if found is None or found.action != "blocked":
            return None
        self._watch.moderated("blocked")
        return ModerationBlockedError(found.reasons, is_answer=True)

    async def find(self, texts: list[str]) -> Finding | None:
        """
        What is found in *texts*, the first of it written down.

        Raises:
            NoVerdictError: There is no verdict.
        """
        service = service_for(self._checks, self._upstream)
        judged, _ = await self._service.judge(service, texts, [], asker=self._call.holder.member.id)
        found: list[tuple[Finding, str, Judged]] = []
        for text, verdict in zip(texts, judged, strict=True):
            finding = self._checks.of_answered(verdict)
            if finding is not None:
                found.append((finding, text, verdict))
        if not found:
            return None
        finding, text, verdict = next(
            (one for one in found if one[0].action == "blocked"), found[0]
        )
        if not self._is_noted or finding.action == "blocked":
            self._is_noted = True
            self._notes.note(self._call, "output", finding, verdict, text=text, is_own=False)
        return finding

    async def look(self, reply: bytes, *, is_stream: bool) -> None:
        """Judge all of an answer that the client has already."""
        try:
            texts = await _texts(reply) if is_stream else texts_of_reply(reply)
            if len(texts) > 1:
                texts.append("\n".join(texts))
            if texts:
                await self.find(texts)
        except (NoVerdictError, UnreadableReplyError) as error:
            said = str(error) or "it cannot be read"
            _log.warning("the answer to %s could not be checked: %s", self._call.request_id, said)
            self._pass_unchecked()
        self.passed()

    def unreadable(self) -> RefusalError | None:
        """What the client is to read instead of something that cannot be read; None: it may go on."""
        if self._checks.passes_unreadable:
            self._pass_unchecked()
            return None
        self._watch.moderated("refused")
        return ServerBusyError(
            "answers are checked here before they are passed on, and this one cannot be read. It was made, and is"
            " charged",
            retryable=False,
        )

    def passed(self) -> None:
        """All of it went on."""
        if not self._is_unchecked:
            self._watch.moderated("noted" if self._is_noted else "passed")

    def _pass_unchecked(self) -> None:
        self.on_unchecked()
        if not self._is_unchecked:
            self._is_unchecked = True
            self._watch.moderated("unchecked")


async def _texts(reply: bytes) -> list[str]:
    """The texts of a stream that is over; others get their turn meanwhile."""
    said: dict[Place, list[str]] = {}
    for number, (place, text) in enumerate(texts_of_events(reply)):
        said.setdefault(place, []).append(text)
        if number % EVENTS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return ["".join(texts) for texts in said.values()]
