"""
Moderate: between reserve and dispatch, what is about to be sent is shown to a moderation service.

Where a policy blocks, the verdict comes first, since the account is at risk as soon as the provider sees the text.
Where it only logs, the verdict comes beside the call, which waits for nothing. Either way one flag is written of a call
at most: of the content that says most of its holder, by a keyed digest and never in its own words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from tuckshop.domain.errors import (
    ModerationBlockedError,
    ParameterNotAllowedError,
    ServerBusyError,
)
from tuckshop.domain.moderation import Checks, Finding, Judged
from tuckshop.domain.reservation import Flag, Granted
from tuckshop.domain.watch import Watch
from tuckshop.edge.exchange import Exchange
from tuckshop.gateway.call import Call
from tuckshop.gateway.moderation.answer_check import AnswerCheck
from tuckshop.gateway.moderation.answer_tap import AnswerTap
from tuckshop.gateway.moderation.held_relay import HeldRelay
from tuckshop.gateway.moderation.notes import Notes
from tuckshop.gateway.moderation.reading import ContentsReader
from tuckshop.gateway.moderation.service import ModerationService, NoVerdictError, service_for
from tuckshop.gateway.ports import Tap
from tuckshop.gateway.relay import Relay
from tuckshop.gateway.resolution import RelayTools
from tuckshop.protocols.openai.contents import Contents, Leaf, Picture
from tuckshop.tasks import spawn
from tuckshop.upstreams.registry import Upstream

_log: Final = logging.getLogger(__name__)

AGAIN_S: Final = 5.0  # after which a call may be tried again that could not be checked
BESIDE_TIMEOUT_S: Final = 60.0  # of a verdict that nobody waits for

NO_MARKS: Final[frozenset[Flag]] = frozenset()
UNCHECKED: Final[frozenset[Flag]] = frozenset({"unchecked"})

# Calls that nothing is checked of: holders ask for a verdict themselves.
_NOT_CHECKED: Final = frozenset({"moderations"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideLimits:
    """Of calls that are checked while they run."""

    calls: int = 1_000
    body_bytes: int = 64 << 20  # of all their bodies


class _Found(NamedTuple):
    """A content of which something was found."""

    text: str
    path: str
    is_own: bool
    is_whole: bool  # it is all texts together
    finding: Finding
    judged: Judged


class Moderator:
    """Checks calls. One per server; belongs to one event loop."""

    def __init__(
        self,
        *,
        service: ModerationService,
        reader: ContentsReader,
        notes: Notes,
        watch: Watch,
        beside: BesideLimits | None = None,
    ) -> None:
        self._service = service
        self._reader = reader
        self._notes = notes
        self._watch = watch
        self._limits = beside or BesideLimits()
        self._beside: set[asyncio.Task[Any]] = set()
        self._beside_bytes = 0
        self._holding: set[asyncio.Task[Any]] = set()

    async def check(self, call: Call, upstream: Upstream, body: bytes) -> frozenset[Flag]:
        """
        Wait for the verdict on *body*, which is about to go to *upstream*, where the call's policy blocks.

        Returns:
            What is to be noted of the call.
        Raises:
            ModerationBlockedError: Something in it is flagged.
            ParameterNotAllowedError: Something in it cannot be checked.
            ServerBusyError: The check cannot be had.
        """
        checks = call.policy.moderation
        if checks is None or checks.asked != "block" or call.endpoint.group in _NOT_CHECKED:
            return NO_MARKS
        try:
            async with asyncio.timeout(self._service.limits.verdict_timeout_s):
                contents = await self._contents(call, upstream, body)
                self._refuse_unreadable(contents.unreadable, checks)
                found, unread = await self._found(call, upstream, contents, checks)
        except (NoVerdictError, TimeoutError) as error:
            _log.warning("%s could not be checked: %s", call.request_id, str(error) or "in time")
            return self._without_verdict(checks)
        self._refuse_unreadable(unread, checks)
        if found:
            self._note(call, found)
        blocked = [one for one in found if one.finding.action == "blocked"]
        if blocked:
            self._watch.moderated("blocked")
            categories = {name for one in blocked for name in one.finding.reasons}
            raise ModerationBlockedError(tuple(sorted(categories)), _told(blocked).path or None)
        self._watch.moderated("noted" if found else "passed")
        return UNCHECKED if contents.unreadable or unread else NO_MARKS

    def check_beside(self, call: Call, upstream: Upstream, body: bytes) -> None:
        """Have *body*, which was sent, checked while the call runs, where its policy only logs. Returns at once."""
        checks = call.policy.moderation
        if checks is None or checks.asked != "log" or call.endpoint.group in _NOT_CHECKED:
            return
        limits = self._limits
        if len(self._beside) >= limits.calls or self._beside_bytes + len(body) > limits.body_bytes:
            self._watch.moderated("dropped")
            return
        self._beside_bytes += len(body)
        spawn(
            self._look_beside(call, upstream, body, checks), name="moderation", tasks=self._beside
        )

    async def close(self) -> None:
        """End what is under way."""
        tasks = [*self._beside, *self._holding]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._service.close()

    async def _look_beside(
        self, call: Call, upstream: Upstream, body: bytes, checks: Checks
    ) -> None:
        try:
            async with asyncio.timeout(BESIDE_TIMEOUT_S):
                contents = await self._contents(call, upstream, body)
                found, _ = await self._found(call, upstream, contents, checks)
        except (NoVerdictError, TimeoutError, ServerBusyError) as error:
            _log.warning("%s could not be checked: %s", call.request_id, str(error) or "in time")
            self._watch.moderated("unchecked")
            return
        finally:
            self._beside_bytes -= len(body)
        if found:
            self._note(call, found)
        self._watch.moderated("noted" if found else "passed")

    async def _contents(self, call: Call, upstream: Upstream, body: bytes) -> Contents:
        return await self._reader.read(call, upstream, body)

    async def _found(
        self, call: Call, upstream: Upstream, contents: Contents, checks: Checks
    ) -> tuple[list[_Found], list[str]]:
        """What is flagged, and the paths of what the service cannot read."""
        service = service_for(checks, upstream)
        texts: list[Leaf] = [*contents.leaves, *([contents.joined] if contents.joined else [])]
        pictures = contents.pictures
        asker = call.holder.member.id
        judged, seen = await self._service.judge(
            service, [leaf.text for leaf in texts], [one.url for one in pictures], asker=asker
        )
        found: list[_Found] = []
        unread: list[str] = []
        said: list[tuple[Leaf | Picture, Judged | None]] = [*zip(texts, judged, strict=True)]
        for of, verdict in (*said, *zip(pictures, seen, strict=True)):
            if verdict is None:
                unread.append(of.path)
                continue
            finding = checks.of_asked(verdict)
            if finding is not None:
                is_whole = of is contents.joined
                text = of.text if isinstance(of, Leaf) else of.url
                found.append(_Found(text, of.path, of.is_own, is_whole, finding, verdict))
        return found, unread

    def _refuse_unreadable(self, paths: list[str] | tuple[str, ...], checks: Checks) -> None:
        if paths and not checks.passes_unreadable:
            self._watch.moderated("refused")
            raise ParameterNotAllowedError(
                paths[0],
                "what is asked here is checked before it is sent, and this cannot be: send it as text, or a picture as"
                " a data URL",
            )

    def _without_verdict(self, checks: Checks) -> frozenset[Flag]:
        if checks.fails_open:
            self._watch.moderated("unchecked")
            return UNCHECKED
        self._watch.moderated("unavailable")
        raise ServerBusyError(
            "what is asked here is checked before it is sent, and the check does not answer",
            retry_after_s=AGAIN_S,
        )

    def _note(self, call: Call, found: list[_Found]) -> None:
        one = _told(found)
        self._notes.note(
            call, "moderation", one.finding, one.judged, text=one.text, is_own=one.is_own
        )

    # ── of answers ────────────────────────────────────────────────────────────────────────────────────────────

    def relay(
        self,
        upstream: Upstream,
        *,
        call: Call,
        granted: Granted,
        exchange: Exchange,
        began_s: float,
        tools: RelayTools,
        on_done: Callable[[Relay], None],
        tap: Tap | None,
        marks: frozenset[Flag],
    ) -> Relay:
        """A relay of *call*, whose answer comes from *upstream* and is checked as the call's policy says."""
        checks = call.policy.moderation
        mode = "off" if checks is None or not call.endpoint.generates else checks.answered
        if checks is None or mode == "off":
            check = None
        else:
            check = AnswerCheck(
                call,
                upstream,
                checks,
                service=self._service,
                notes=self._notes,
                watch=self._watch,
            )
        if check is not None and mode == "block":
            return HeldRelay(
                call=call,
                granted=granted,
                exchange=exchange,
                began_s=began_s,
                tools=tools,
                on_done=on_done,
                tap=tap,
                marks=marks,
                check=check,
                tasks=self._holding,
            )
        if check is not None:
            tap = AnswerTap(tap, take=self._take, look=partial(self._look_at_answer, check))
        return Relay(
            call=call,
            granted=granted,
            exchange=exchange,
            began_s=began_s,
            tools=tools,
            on_done=on_done,
            tap=tap,
            marks=marks,
        )

    def _take(self, size: int) -> bool:
        """Memory of what is looked at beside calls; given back where *size* is negative."""
        if self._beside_bytes + size > self._limits.body_bytes:
            self._watch.moderated("dropped")
            return False
        self._beside_bytes += size
        return True

    def _look_at_answer(self, check: AnswerCheck, reply: bytes, is_stream: bool, size: int) -> None:
        if len(self._beside) >= self._limits.calls:
            self._take(-size)
            self._watch.moderated("dropped")
            return
        spawn(self._read_answer(check, reply, is_stream, size), name="answer", tasks=self._beside)

    async def _read_answer(
        self, check: AnswerCheck, reply: bytes, is_stream: bool, size: int
    ) -> None:
        try:
            async with asyncio.timeout(BESIDE_TIMEOUT_S):
                await check.look(reply, is_stream=is_stream)
        except TimeoutError:
            self._watch.moderated("unchecked")
        finally:
            self._take(-size)


def _told(found: list[_Found]) -> _Found:
    """The one that says most: blocked before noted, own before others', one leaf before all together; then the last."""
    return max(
        enumerate(found),
        key=lambda at: (
            at[1].finding.action == "blocked",
            at[1].is_own,
            not at[1].is_whole,
            at[0],
        ),
    )[1]
