"""
The one resolution of a call (M6): settled or void, told by whoever knows first how it ended; later ones are not heard.

What is charged for which end is `gateway/outcome.py`; here it is handed to the ledger, with what the log tells of it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from tuckshop.domain.clock import Clock
from tuckshop.domain.reservation import Flag, Granted, Outcome, Settlement, Void
from tuckshop.domain.watch import Unwatched, Watch
from tuckshop.gateway import outcome
from tuckshop.gateway.call import Call
from tuckshop.gateway.drains import Drains
from tuckshop.gateway.ports import Resolver
from tuckshop.gateway.reply_head import ReplyHead
from tuckshop.pricing.cost import Usage
from tuckshop.pricing.prices import ModelPrice
from tuckshop.protocols.openai.events import EventMeter
from tuckshop.protocols.openai.reply import ReplyLimits
from tuckshop.upstreams.circuit import Circuit

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayTools:
    """What every relay works with."""

    ledger: Resolver
    drains: Drains
    clock: Clock
    loop: asyncio.AbstractEventLoop
    reply_limits: ReplyLimits
    watch: Watch = field(default_factory=Unwatched)
    credential: str = ""  # of the upstream; taken out of what it says when it fails
    circuit: Circuit = field(default_factory=Circuit)  # to the upstream


class Resolution:
    """
    How one call ends.

    Attributes:
        head: Of the upstream's reply, once there is one.
        flags: What is noted of the call so far.
        told_status: What the client was told in place of a reply.
        is_reached: It has ended.
    """

    __slots__ = (
        "_began_s",
        "_first_byte_ms",
        "_granted",
        "_tools",
        "call",
        "flags",
        "head",
        "is_reached",
        "told_status",
    )

    def __init__(self, call: Call, granted: Granted, began_s: float, tools: RelayTools) -> None:
        self.call = call
        self._granted = granted
        self._began_s = began_s  # monotonic, when the call was complete
        self._tools = tools
        self._first_byte_ms: int | None = None
        self.head: ReplyHead | None = None
        self.flags: set[Flag] = {"clamped"} if granted.lowered_by else set()
        self.told_status: int | None = None
        self.is_reached = False

    def reply_began(self, head: ReplyHead) -> None:
        """The upstream answers."""
        self.head = head
        self._first_byte_ms = self._elapsed_ms()

    def charge_stream(self, meter: EventMeter) -> None:
        """The stream is complete."""
        self.charge_reported(
            meter.final_usage, meter.model, meter.service_tier, saw_output=meter.has_output
        )

    def charge_what_is_known(
        self, meter: EventMeter | None, error: str, *, http_status: int | None
    ) -> None:
        """It ends before its end: usage that was told before is the truth all the same (M5)."""
        if meter is None or meter.final_usage is None:
            self.charge_bound(error, http_status=http_status)
        else:
            self.charge_reported(
                meter.final_usage,
                meter.model,
                meter.service_tier,
                saw_output=meter.has_output,
                error=error,
            )

    def charge_reported(
        self,
        usage: Usage | None,
        model: str | None,
        tier: str | None,
        *,
        saw_output: bool = False,
        error: str | None = None,
    ) -> int:
        """Charge what the reply says it used, or the bound; the cost."""
        price = self.call.price
        assert price is not None
        facts = self.call.facts
        settlement = outcome.charge_reported(
            outcome.Reported(
                usage=usage,
                model=model,
                answered_price=self._answered_price(model),
                tier=tier,
                saw_output=saw_output and not (facts is not None and facts.echoes),
                prompts=1 if facts is None else facts.prompts,
            ),
            granted=self._granted,
            price=price,
            outcome=self._outcome(self.head.status if self.head else None, error),
            flags=frozenset(self.flags),
        )
        self._resolve(settlement)
        if "unconfirmed" in settlement.flags:
            self._note_no_usage(usage)
        elif settlement.charged.cost_nano > self._granted.held.cost_nano:
            _log.error(
                "%s: the upstream billed more than the bound (overrun)", settlement.request_id
            )
        return settlement.charged.cost_nano

    def _answered_price(self, model: str | None) -> ModelPrice | None:
        """Of the model that says it answered, by the list that the call was admitted with (M11)."""
        prices = self.call.prices
        return prices.find(model, self.call.upstream) if model and prices is not None else None

    def _note_no_usage(self, usage: Usage | None) -> None:
        request_id = self._granted.request_id
        if usage is None:
            _log.warning("%s: no usage that can be read: the bound is charged", request_id)
            return
        self._tools.watch.alarm("implausible_usage")
        _log.error(
            "ALARM: implausible_usage: %s: %s cannot be: the bound is charged", request_id, usage
        )

    def charge_free(self) -> int:
        """Its price is nothing."""
        assert self.head is not None
        self._resolve(
            outcome.charge_nothing(
                self._granted, self._outcome(self.head.status, None), frozenset(self.flags)
            )
        )
        return 0

    def charge_bound(self, error: str, *, http_status: int | None) -> None:
        """Nobody knows what it used (M9)."""
        self._resolve(
            outcome.charge_bound(
                self._granted,
                outcome=self._outcome(http_status, error),
                flags=frozenset(self.flags),
            )
        )

    def void(self, error: str, *, http_status: int | None) -> None:
        """There is proof that it used nothing (M10)."""
        self._resolve(
            outcome.void(
                self._granted,
                outcome=self._outcome(http_status, error),
                flags=frozenset(self.flags),
            )
        )

    def _resolve(self, resolution: Settlement | Void) -> None:
        if self.is_reached:
            return
        self.is_reached = True
        if isinstance(resolution, Settlement):
            self._tools.ledger.settle(resolution)
        else:
            self._tools.ledger.void(resolution)

    def _elapsed_ms(self) -> int:
        return round((self._tools.clock.monotonic_s() - self._began_s) * 1000)

    def _outcome(self, http_status: int | None, error: str | None) -> Outcome:
        return Outcome(
            http_status=self.told_status or http_status,
            first_byte_ms=self._first_byte_ms,
            duration_ms=self._elapsed_ms(),
            upstream_request_id=self.head.request_id if self.head else None,
            error=error,
        )
