"""
Dispatch: a call whose hold is taken goes to the upstream, or its hold goes back.

Whatever goes wrong in between has an end for the hold: void while nothing can have been sent (M10), else its bound is
charged (M9).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from tuckshop.domain.errors import (
    ModerationBlockedError,
    RefusalError,
    UpstreamUnavailableError,
)
from tuckshop.domain.reservation import Flag, Granted, Outcome, ReservationState, Void
from tuckshop.edge.exchange import Exchange
from tuckshop.gateway import outcome
from tuckshop.gateway.call import Call
from tuckshop.gateway.ports import BodyLog, Tap, UpstreamManners, Upstreams
from tuckshop.gateway.relay import Relay
from tuckshop.gateway.resolution import RelayTools
from tuckshop.protocols.openai.headers import upstream_headers
from tuckshop.protocols.openai.outgoing import Profile, Rewriting
from tuckshop.upstreams.registry import Upstream


class MakeRelay(Protocol):
    """Makes a `Relay` of what that takes."""

    def __call__(
        self,
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
        """One that is to be started."""


class Dispatcher:
    """Sends calls to their upstreams, and knows those that are there."""

    def __init__(
        self, upstreams: Upstreams, manners: UpstreamManners, tools: RelayTools, body_log: BodyLog
    ) -> None:
        """*tools*: without credential and circuit, which are the upstream's."""
        self._upstreams = upstreams
        self._manners = manners
        self._tools = tools
        self._body_log = body_log
        self._tools_of: dict[str, tuple[Upstream, RelayTools]] = {}  # by the upstream's name
        self._running: set[Relay] = set()

    def __len__(self) -> int:
        """How many calls are at the upstream, with or without a client."""
        return len(self._running)

    def running(self, is_meant: Callable[[Call], bool] | None = None) -> Iterator[Relay]:
        """Those of the running calls that are meant, whatever happens to them meanwhile."""
        for relay in list(self._running):
            if is_meant is None or is_meant(relay.call):
                yield relay

    def upstream_of(self, call: Call) -> Upstream:
        """
        Where an admitted call goes, as it is now.

        Raises:
            UpstreamUnavailableError: It, or its credential, was removed just after the grant. The hold is given back.
        """
        upstream = self._upstreams.get(call.upstream)
        if upstream is None or upstream.credential is None:
            self.give_back(call, "upstream_removed")
            raise UpstreamUnavailableError
        return upstream

    def rewriting(self, call: Call, granted: Granted, upstream: Upstream) -> Rewriting:
        """What is to be written into the call's body."""
        assert call.price is not None
        assert call.facts is not None
        return Rewriting(
            profile=upstream.profile,
            model=call.model,
            cap=granted.cap if _must_state(call, granted, upstream.profile) else None,
            cap_field=call.price.cap_field,
            pseudonym=call.pseudonym,
        )

    def give_back(self, call: Call, why: str) -> None:
        """It ends before anything was sent: the hold is void (M10)."""
        flags: frozenset[Flag] = frozenset({"client_left"} if why == "client_left" else ())
        self._tools.ledger.void(
            Void(
                request_id=call.request_id,
                outcome=Outcome(http_status=None, error=why),
                flags=flags,
            )
        )

    @contextlib.contextmanager
    def undoing(self, call: Call) -> Iterator[None]:
        """What happens inside may end a call that holds something and was not sent: then the hold is given back."""
        try:
            yield
        except asyncio.CancelledError:
            self.give_back(call, "client_left")
            raise
        except ModerationBlockedError as blocked:
            self._tools.ledger.void(
                Void(
                    request_id=call.request_id,
                    outcome=Outcome(http_status=blocked.status, error=blocked.code),
                    state=ReservationState.BLOCKED,
                )
            )
            raise
        except RefusalError as refusal:
            self.give_back(call, refusal.code)
            raise
        except BaseException:
            self.give_back(call, "server_fault")
            raise

    def dispatch(
        self,
        call: Call,
        granted: Granted,
        upstream: Upstream,
        body: bytes,
        exchange: Exchange,
        began_s: float,
        marks: frozenset[Flag] = frozenset(),
        make_relay: MakeRelay = Relay,
    ) -> None:
        """
        Send *body*; from here on a `Relay` has the call, and nothing awaits it.

        Args:
            marks: What is to be noted of the call.
            make_relay: Makes the relay; of a call whose answer is checked, one that does that.
        Raises:
            UpstreamUnavailableError: Another call was sent just now to find out whether the upstream still refuses us.
                The hold is given back.
        """
        if not upstream.circuit.lets_through(self._tools.clock.monotonic_s()):
            self.give_back(call, "upstream_refuses")
            raise UpstreamUnavailableError(retryable=False)
        manners, price, facts = self._manners, call.price, call.facts
        assert upstream.credential is not None
        assert price is not None
        assert facts is not None
        tap: Tap | None = None
        if call.holder.group.logging.bodies != "off":
            tap = self._body_log.begin(call.request_id, call.holder, call.endpoint, body)
        relay = make_relay(
            call=call,
            granted=granted,
            exchange=exchange,
            began_s=began_s,
            tools=self._tools_for(upstream),
            on_done=self._running.discard,
            tap=tap,
            marks=marks,
        )
        try:
            sent = upstream.pool.open(
                call.endpoint.method,
                call.endpoint.path,
                upstream_headers(
                    credential=upstream.credential, request_id=call.request_id, stream=facts.stream
                ),
                body,
                relay,
                gap_timeout_s=manners.reasoning_gap_s if price.reasons else manners.gap_s,
            )
        except ValueError:  # it cannot be sent at all
            _end(tap)
            self.give_back(call, "server_fault")
            raise
        except BaseException:  # nobody can say whether some of it was sent (M9)
            _end(tap)
            fault = Outcome(http_status=None, error="server_fault")
            self._tools.ledger.settle(
                outcome.charge_bound(granted, outcome=fault, flags=frozenset())
            )
            raise
        if not price.free:
            self._tools.watch.dispatched()
        self._running.add(relay)
        relay.start(sent)

    def _tools_for(self, upstream: Upstream) -> RelayTools:
        known, tools = self._tools_of.get(upstream.name, (None, self._tools))
        if known is not upstream:
            tools = replace(
                self._tools, credential=upstream.credential or "", circuit=upstream.circuit
            )
            self._tools_of[upstream.name] = upstream, tools
        return tools


def _end(tap: Tap | None) -> None:
    if tap is not None:
        tap.end(None, is_stream=False)


def _must_state(call: Call, granted: Granted, profile: Profile) -> bool:
    """Has the granted cap to be written into the body?"""
    assert call.facts is not None
    if profile == "compatible" and call.facts.cap_wanted is None:
        return True  # how much such a server makes of a model by that name, no price list knows
    return call.is_lowered_by(granted.cap)
