"""
The sending loop: one mail after another, at the pace that is set, each at most once.

A mail is marked `sending` and committed before its text leaves, and marked anew by what came of it. One that a crash
catches in between is `unknown` from the next start on: it is not sent a second time unless somebody says so. A mail's
link is made only when a server stands ready to take it, since a new link voids the one before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import TuckshopError
from tuckshop.mailing.message import Letter, message_of
from tuckshop.mailing.smtp import MailServerError, Outcome, Smtp, code_in
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)

ATTEMPTS_MAX: Final = 16  # about two days
IDLE_S: Final = 20.0  # an idle connection is given up after this long
LOOK_S: Final = 10.0  # how long the loop sleeps at most
GRACE_S: Final = 3.0  # how long the mail that is being sent may take at shutdown
_ABORT_EVERY_S: Final = 0.2
_BUSY_S: Final = 5.0
_COMMIT_S: Final = 0.3  # by then a change that runs is committed, or will be found at the next look
_PAUSE_FIRST_S: Final = 60.0
_PAUSE_MAX_S: Final = 4 * 3_600.0
_SERVER_PAUSE_FIRST_S: Final = 15.0
_SERVER_PAUSE_MAX_S: Final = 600.0

Ended = Literal["sent", "failed", "unknown"]
Counted = Literal["sent", "failed", "unknown", "deferred"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A mail that is marked `sending`."""

    id: str
    kind: str
    member_id: str | None
    recipient: str
    template: str  # an id of the queue's
    attempts: int  # this one included
    queued_at_us: int


class UnwrittenLetterError(TuckshopError):
    """This mail cannot be written, now or later; says why."""


class Queue(Protocol):
    """The mails that are to be sent. Promises hold across crashes."""

    async def wait_s(self) -> float | None:
        """How long until a mail may be taken; 0: now; None: there is none."""

    async def take(self) -> Taken | None:
        """Mark the mail that is due first as `sending`, durably; None: there is none any more."""

    async def end(self, mail_id: str, state: Ended, told: str) -> None:
        """What became of a mail that was taken."""

    async def put_back(self, mail_id: str, pause_s: float, told: str) -> None:
        """A mail that was taken has surely not been sent: have it taken again after *pause_s*."""


class Writer(Protocol):
    """Writes the letter of a mail."""

    async def write(self, taken: Taken) -> Letter:
        """
        The letter, with a link of its own where it has one.

        Raises:
            UnwrittenLetterError: There is none to be written.
            ServerBusyError: Not now.
        """


@dataclass(frozen=True, slots=True)
class _Result:
    mail_id: str
    state: Ended | Literal["queued"]
    told: str
    pause_s: float = 0.0


class Sender:
    """Sends what stands in the queue. Used on the loop alone."""

    def __init__(
        self,
        queue: Queue,
        writer: Writer,
        smtp: Smtp,
        clock: Clock,
        *,
        per_minute: int,
        count: Callable[[Counted], None] = lambda state: None,
    ) -> None:
        self._queue = queue
        self._writer = writer
        self._smtp = smtp
        self._clock = clock
        self._gap_s = 60.0 / per_minute
        self._count = count
        self._next_s = 0.0  # monotonic: no mail before then
        self._used_s = 0.0
        self._failures = 0  # of the server, in a row
        self._unwritten: _Result | None = None  # what the queue could not be told yet
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None  # once it runs
        self._tasks: set[asyncio.Task[Any]] = set()
        self.trouble: str | None = None  # why no mail can be handed over at present

    def start(self) -> None:
        """Begin to send."""
        self._loop = asyncio.get_running_loop()
        spawn(self._run(), name="mail", tasks=self._tasks)

    def wake(self) -> None:
        """There is something new in the queue."""
        self._woken.set()

    def wake_soon(self) -> None:
        """There will be something new, once a change that runs now is committed. From any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.call_later, _COMMIT_S, self.wake)

    async def close(self) -> None:
        """Send no further mail; the one that is on its way may end, or is broken off."""
        self._closing = True
        self._woken.set()
        if self._tasks:
            _, running = await asyncio.wait(self._tasks, timeout=GRACE_S)
            while running:
                # Again and again: the thread may just have been dialling, with nothing there yet to be broken off.
                self._smtp.abort()
                _, running = await asyncio.wait(running, timeout=_ABORT_EVERY_S)
        await asyncio.to_thread(self._smtp.close)

    async def send_now(self, taken: Taken) -> Outcome:
        """
        Send one mail that is marked `sending` already, whatever else waits, and tell what came of it.

        It is not tried again. Whoever waits for it may leave: what was begun is brought to its end.
        """
        task = spawn(self._send_at_once(taken), name="mail now", tasks=self._tasks)
        return await asyncio.shield(task)

    async def step(self) -> float | None:
        """Send one mail, if one may be sent now; how long until the next look, None: until somebody wakes us."""
        async with self._lock:
            if self._unwritten is not None:
                await self._tell(self._unwritten)
            now_s = self._clock.monotonic_s()
            if self._smtp.is_open and now_s >= self._used_s + IDLE_S:
                await asyncio.to_thread(self._smtp.close)
            if now_s < self._next_s:
                return self._next_s - now_s
            wait_s = await self._queue.wait_s()
            if wait_s is None or wait_s > 0:
                return IDLE_S if wait_s is None and self._smtp.is_open else wait_s
            try:
                await asyncio.to_thread(self._smtp.ready)
            except MailServerError as error:
                return self._is_unfit(str(error), str(error))
            taken = await self._queue.take()
            if taken is None:
                return 0.0
            self._next_s = self._clock.monotonic_s() + self._gap_s
            outcome = await self._send(taken)
            await self._tell(_result_of(taken, outcome))
            if outcome.result == "server":
                code = code_in(outcome.told)
                return self._is_unfit(outcome.told, f"the mail server answers {code or 'nothing'}")
            self._is_fit()
            return self._gap_s

    async def _send_at_once(self, taken: Taken) -> Outcome:
        async with self._lock:
            try:
                await asyncio.to_thread(self._smtp.ready)
            except MailServerError as error:
                outcome = Outcome("server", str(error))
            else:
                self._is_fit()
                outcome = await self._send(taken)
                self._next_s = self._clock.monotonic_s() + self._gap_s
            state: Ended = outcome.result if outcome.result in ("sent", "unknown") else "failed"
            await self._tell(_Result(taken.id, state, outcome.told))
            return outcome

    async def _run(self) -> None:
        while not self._closing:
            self._woken.clear()
            try:
                pause_s = await self.step()
            except TuckshopError as error:  # the ledger takes nothing at present
                _log.warning("no mails are sent for now: %s", error)
                pause_s = _BUSY_S
            except Exception:  # noqa: BLE001 - the outer edge of the loop
                _log.exception("a mail could not be dealt with")
                pause_s = LOOK_S
            if self._closing:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), min(LOOK_S, pause_s or LOOK_S))

    async def _send(self, taken: Taken) -> Outcome:
        try:
            letter = await self._writer.write(taken)
            message = message_of(letter, mail_id=taken.id, at_us=self._clock.now_us())
        except UnwrittenLetterError as error:
            return Outcome("refused", str(error))
        except TuckshopError as error:
            return Outcome("deferred", str(error))
        outcome = await asyncio.to_thread(
            self._smtp.deliver,
            message,
            sender=letter.sender.address,
            recipient=letter.recipient.address,
        )
        self._used_s = self._clock.monotonic_s()
        return Outcome(outcome.result, letter.without_secret(outcome.told))

    async def _tell(self, result: _Result) -> None:
        """Tell the queue what came of a mail; what it cannot take now, it is told before anything else is done."""
        self._unwritten = result
        if result.state == "queued":
            await self._queue.put_back(result.mail_id, result.pause_s, result.told)
        else:
            await self._queue.end(result.mail_id, result.state, result.told)
        self._unwritten = None
        self._count("deferred" if result.state == "queued" else result.state)
        if result.state in ("failed", "unknown"):
            # Not in the words that came: they repeat addresses (P1). The list of mails has them.
            code = code_in(result.told)
            _log.warning("mail %s is %s (%s)", result.mail_id, result.state, code or "no code")

    def _is_fit(self) -> None:
        if self.trouble is not None:
            _log.info("mails are sent again")
        self._failures, self.trouble = 0, None

    def _is_unfit(self, trouble: str, in_log: str) -> float:
        """*in_log*: the same as a log may hold it, without what the server said once it knew an address (P1)."""
        if trouble != self.trouble:
            _log.warning("no mails are sent for now: %s", in_log)
        self.trouble = trouble
        pause_s = min(_SERVER_PAUSE_MAX_S, _SERVER_PAUSE_FIRST_S * 2.0**self._failures)
        self._failures = min(self._failures + 1, 20)
        self._next_s = self._clock.monotonic_s() + pause_s
        return pause_s


def pause_after(attempts: int) -> float:
    """How long a mail waits after so many attempts that the server put off: minutes first, then hours."""
    return min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 4.0 ** min(attempts - 1, 10))


def _result_of(taken: Taken, outcome: Outcome) -> _Result:
    match outcome.result:
        case "sent" | "unknown":
            return _Result(taken.id, outcome.result, outcome.told)
        case "refused":
            return _Result(taken.id, "failed", outcome.told)
        case "deferred" if taken.attempts >= ATTEMPTS_MAX:
            told = f"given up after {taken.attempts} attempts: {outcome.told}"
            return _Result(taken.id, "failed", told)
        case "deferred" | "server":
            pause_s = pause_after(taken.attempts)
            return _Result(taken.id, "queued", outcome.told, pause_s)
