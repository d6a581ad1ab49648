"""
A relay whose client gets the reply only through a `Gate`.

Towards the upstream nothing is otherwise: it is read to its end, and its usage is charged, whatever becomes of the text
(M5). The call is over when both are: the upstream's reply, and what the client gets of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tuckshop.domain.errors import RefusalError, ServerBusyError
from tuckshop.domain.reservation import Flag, Granted
from tuckshop.edge.exchange import Exchange
from tuckshop.gateway.call import Call
from tuckshop.gateway.moderation.answer_check import AnswerCheck
from tuckshop.gateway.moderation.gate import Gate
from tuckshop.gateway.ports import Tap
from tuckshop.gateway.relay import Relay
from tuckshop.gateway.reply_head import ReplyHead
from tuckshop.gateway.resolution import RelayTools


class HeldRelay(Relay):
    """One call whose answer is checked before it goes on."""

    __slots__ = ("_check", "_gate", "_is_told", "_on_both_done")

    def __init__(
        self,
        *,
        call: Call,
        granted: Granted,
        exchange: Exchange,
        began_s: float,
        tools: RelayTools,
        on_done: Callable[[Relay], None],
        check: AnswerCheck,
        tasks: set[asyncio.Task[Any]],
        tap: Tap | None = None,
        marks: frozenset[Flag] = frozenset(),
    ) -> None:
        """
        Args:
            check: Of this call's answer.
            tasks: Where checks stand that are under way.
        """
        self._check = check
        self._is_told = False
        self._on_both_done = on_done
        self._gate = Gate(
            exchange, check=check, tasks=tasks, on_refused=self.cut, on_over=self._half_done
        )
        super().__init__(
            call=call,
            granted=granted,
            exchange=self._gate,
            began_s=began_s,
            tools=tools,
            on_done=self._half_done,
            tap=tap,
            marks=marks,
        )
        check.on_unchecked = self._mark_unchecked

    def cut(self, refusal: RefusalError) -> None:
        """End the client's side with *refusal*, read the upstream on: the key was revoked, or the answer may not go."""
        if not self._resolution.is_reached:
            super().cut(refusal)
        elif not self._gate.is_over:  # all of it is here, and some of it is held
            self._tell(refusal)

    def cancel(self, reason: str) -> None:
        """End it now."""
        super().cancel(reason)
        if not self._gate.is_over:
            self._tell(ServerBusyError("the server is shutting down"))

    def _send_head(self, head: ReplyHead) -> None:
        self._gate.meter = self._meter
        if self._meter is None and not self._is_gone:  # too long to be held as a whole
            refusal = self._check.unreadable()
            if refusal is not None:
                self.cut(refusal)
                self._head_sent = True  # only its end is of use from now on
                return
            self._gate.open()
        super()._send_head(head)

    def _tell(self, refusal: RefusalError) -> None:
        if self._gate.holds_whole:
            self._head_sent = False
        self._gate.open()
        super()._tell(refusal)

    def _mark_unchecked(self) -> None:
        self._resolution.flags.add("unchecked")

    def _half_done(self, relay: Relay | None = None) -> None:
        if self._done and self._gate.is_over and not self._is_told:
            self._is_told = True
            self._on_both_done(self)
