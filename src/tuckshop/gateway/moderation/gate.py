"""
A gate before a client: a reply goes through it piece by piece, each when the text that it is part of was checked.

Text gathers until there is enough of it for a question, is judged together with the end of what went before, and then
goes on. While one question is under way the next text gathers, so that a stream asks the less often the longer it is.
The call behind it knows nothing of that: it is read to its end, and charged, as if the client had everything already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from tuckshop.domain.errors import RefusalError, ServerBusyError
from tuckshop.edge.exchange import Exchange
from tuckshop.protocols.openai.answers import (
    Place,
    UnreadableReplyError,
    texts_of_events,
    texts_of_reply,
)
from tuckshop.protocols.openai.events import EventMeter
from tuckshop.protocols.openai.headers import Headers
from tuckshop.protocols.openai.moderations import OVERLAP_CHARACTERS
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)

FIRST_CHARACTERS: Final = 200  # of the first question; every next one waits for twice as many
MOST_CHARACTERS: Final = 3_200  # up to this
HOLD_S: Final = 5.0  # the longest that text waits for more of it
HELD_MAX_BYTES: Final = 256 << 10  # beyond which the upstream waits
_PLACES_MAX: Final = (
    1_024  # of which the end of the text is remembered: more than all choices of a call have
)


class Check(Protocol):
    """Judges what is answered to one call."""

    async def judge(self, texts: list[str]) -> RefusalError | None:
        """None: it may go on."""

    def unreadable(self) -> RefusalError | None:
        """Something came that cannot be read. None: it may go on."""

    def passed(self) -> None:
        """All of it went on."""


class Gate:
    """
    Stands where an `Exchange` would, for one reply. Belongs to one event loop.

    Attributes:
        on_disconnect, on_pause, on_resume: As of an exchange.
        meter: Of the reply, where it is a stream.
        on_refused: Told of a refusal; has to answer with it. The gate is open by then.
        on_over: Told when the client's side has ended.
        is_over: It has.
    """

    __slots__ = (
        *("_check", "_context", "_end", "_exchange", "_fresh", "_fresh_characters", "_held_bytes", "_is_due"),
        *("_is_full", "_is_open", "_is_slow", "_pieces", "_task", "_tasks", "_timer", "_whole", "_wished"),
        *("is_over", "meter", "on_disconnect", "on_over", "on_pause", "on_refused", "on_resume"),
    )  # fmt: skip

    def __init__(
        self,
        exchange: Exchange,
        *,
        check: Check,
        tasks: set[asyncio.Task[Any]],
        on_refused: Callable[[RefusalError], None],
        on_over: Callable[[], None],
    ) -> None:
        """*tasks*: where those stand that are under way."""
        self._exchange = exchange
        self._check = check
        self._tasks = tasks
        self.on_refused = on_refused
        self.on_over = on_over
        self.on_disconnect: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self.meter: EventMeter | None = None
        self.is_over = False
        self._is_open = False  # what comes goes on as it is
        self._pieces: list[bytes] = []  # that wait to be asked about
        self._held_bytes = 0  # of them, and of those that are asked about
        self._fresh: dict[Place, list[str]] = {}  # their texts
        self._fresh_characters = 0
        self._context: dict[Place, str] = {}  # the end of the text that was asked about
        self._wished = FIRST_CHARACTERS
        self._whole: tuple[int, Headers, bytes] | None = None
        self._end = False  # no piece follows
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False  # it waited long enough
        self._is_full = False
        self._is_slow = False
        exchange.on_disconnect = self._left
        exchange.on_pause = self._slower
        exchange.on_resume = self._faster

    @property
    def holds_whole(self) -> bool:
        """Is a whole reply held, of which the client has nothing yet?"""
        return self._whole is not None

    # ── as an exchange ────────────────────────────────────────────────────────────────────────────────────────

    def start(self, status: int, headers: Headers, length: int | None = None) -> None:
        """The head of a stream, which says nothing."""
        self._exchange.start(status, headers, length)

    def write(self, data: bytes) -> None:
        """A piece of a stream: whole events."""
        if self._is_open:
            self._exchange.write(data)
            return
        says_something = self._gather(data)
        if self.is_over:  # it could not be read, and that was told
            return
        if not says_something and not self._pieces and self._task is None:
            self._exchange.write(data)
            return
        self._hold(data)
        self._advance()

    def end(self, data: bytes = b"") -> None:
        """The last piece; from now on the gate goes on by itself."""
        if self._is_open:
            self._exchange.end(data)
            self._finish()
            return
        if data:
            self._gather(data)
            if self.is_over:
                return
            self._hold(data)
        self._end = True
        self._advance()

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole reply. An error says nothing of a model's."""
        if self._is_open or status >= 400:
            self._is_open = True
            self._exchange.reply(status, headers, body)
            self._finish()
            return
        self._whole = status, headers, body
        try:
            texts = texts_of_reply(body)
        except UnreadableReplyError:
            texts = []
            self._unreadable()
            if self.is_over:
                return
        if len(texts) > 1:
            texts.append("\n".join(texts))
        self._task = spawn(self._judge([], texts), name="answer", tasks=self._tasks)

    def abort(self) -> None:
        """Cut the client's connection."""
        self.open()
        self._exchange.abort()
        self._finish()

    def release_body(self) -> None:
        """Drop the request's body."""
        self._exchange.release_body()

    def open(self) -> None:
        """Let go of what is held: it is not to go on. What comes from now on goes on as it is."""
        self._is_open = True
        self._pieces.clear()
        self._fresh.clear()
        self._whole = None
        self._is_full = False
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────

    def _gather(self, data: bytes) -> bool:
        """Take the texts of *data*; whether there are any that can be read."""
        if self.meter is None or self.meter.is_blind:
            self._unreadable()
            return False
        before = self._fresh_characters
        try:
            for place, text in texts_of_events(data):
                self._fresh.setdefault(place, []).append(text)
                self._fresh_characters += len(text)
        except UnreadableReplyError:
            self._unreadable()
        return self._fresh_characters > before

    def _unreadable(self) -> None:
        refusal = self._check.unreadable()
        if refusal is not None:
            self.on_refused(refusal)

    def _hold(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > HELD_MAX_BYTES and not self._is_full:
            self._is_full = True
            self._tell_pause(was_paused=self._is_slow)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(HOLD_S, self._waited)

    def _waited(self) -> None:
        self._timer = None
        self._is_due = bool(self._fresh)
        self._advance()

    def _advance(self) -> None:
        """Ask about what is held, if there is enough of it and nothing else is asked about; or end, if it is time."""
        if self._task is not None or self.is_over:
            return
        if self._fresh:
            is_time = self._end or self._is_full or self._is_due
            if is_time or self._fresh_characters >= self._wished:
                self._ask()
            return
        if self._pieces:  # they say nothing
            pieces, self._pieces = self._pieces, []
            self._pass_on(pieces)
        if self._end:
            self._check.passed()
            self._exchange.end()
            self._finish()

    def _ask(self) -> None:
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pieces, self._pieces = self._pieces, []
        fresh, self._fresh, self._fresh_characters = self._fresh, {}, 0
        self._wished = min(2 * self._wished, MOST_CHARACTERS)
        texts = []
        for place, said in fresh.items():
            text = self._context.pop(place, "") + "".join(said)
            self._context[place] = text[-OVERLAP_CHARACTERS:]
            texts.append(text)
        while len(self._context) > _PLACES_MAX:
            del self._context[next(iter(self._context))]
        self._task = spawn(self._judge(pieces, texts), name="answer", tasks=self._tasks)

    async def _judge(self, pieces: list[bytes], texts: list[str]) -> None:
        try:
            refusal = await self._check.judge(texts) if texts else None
        except Exception:  # noqa: BLE001 - whatever it is: nothing unjudged goes on
            _log.exception("an answer could not be judged")
            refusal = ServerBusyError("a fault of the server; it is logged", retryable=False)
        self._task = None
        if refusal is not None:
            self.on_refused(refusal)
            return
        if self._whole is not None:
            self._check.passed()
            self._exchange.reply(*self._whole)
            self._finish()
            return
        self._pass_on(pieces)
        self._advance()

    def _pass_on(self, pieces: list[bytes]) -> None:
        data = b"".join(pieces)
        self._held_bytes -= len(data)
        self._exchange.write(data)
        if self._is_full and self._held_bytes <= HELD_MAX_BYTES:
            self._is_full = False
            self._tell_resume()

    # ── from the client ───────────────────────────────────────────────────────────────────────────────────────

    def _left(self) -> None:
        self.open()
        if self.on_disconnect is not None:
            self.on_disconnect()
        self._finish()

    def _slower(self) -> None:
        self._is_slow = True
        self._tell_pause(was_paused=self._is_full)

    def _faster(self) -> None:
        self._is_slow = False
        self._tell_resume()

    def _tell_pause(self, *, was_paused: bool) -> None:
        if not was_paused and self.on_pause is not None:
            self.on_pause()

    def _tell_resume(self) -> None:
        if not (self._is_slow or self._is_full) and self.on_resume is not None:
            self.on_resume()

    def _finish(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.open()
            self.on_over()
