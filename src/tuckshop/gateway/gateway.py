"""
The data plane: the six steps of a call, in their order.

    identify → understand → admit → relay → meter → settle

`Gateway` is what the edge calls: `admit_head` when a request's head is complete, `handle` when its body is. From the
dispatch on a `Relay` has the call; nothing awaits it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import KeyPausedError, RefusalError, ServerBusyError
from tuckshop.domain.ids import new_id
from tuckshop.domain.keys import digest_of
from tuckshop.domain.records import Holder
from tuckshop.domain.watch import Unwatched, Watch
from tuckshop.edge.app import HeadVerdict
from tuckshop.edge.exchange import Exchange
from tuckshop.edge.head import Headers, RequestHead
from tuckshop.gateway.admission import Admission
from tuckshop.gateway.body_size import LargeBodies, is_large
from tuckshop.gateway.callers import Callers
from tuckshop.gateway.counting import TokenCounter
from tuckshop.gateway.credential import secret_of
from tuckshop.gateway.dispatch import Dispatcher
from tuckshop.gateway.drains import DrainLimits, Drains
from tuckshop.gateway.entitlements import Entitlements
from tuckshop.gateway.flood import FloodGate
from tuckshop.gateway.free_calls import FreeCalls
from tuckshop.gateway.house_rules import HouseRules, is_long
from tuckshop.gateway.identify import Arrival, may_call, tag_of
from tuckshop.gateway.large_body import serve_large
from tuckshop.gateway.moderation.moderator import NO_MARKS, Moderator
from tuckshop.gateway.moderation.step import moderated
from tuckshop.gateway.ports import (
    BodyLog,
    Directory,
    Ledger,
    NoBodyLog,
    Prices,
    UpstreamManners,
    Upstreams,
)
from tuckshop.gateway.refusals import Refusals
from tuckshop.gateway.resolution import RelayTools
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.json_body import Tree
from tuckshop.protocols.openai.body import BodyLimits
from tuckshop.protocols.openai.long_texts import LongText, long_texts
from tuckshop.protocols.openai.outgoing import rewrite
from tuckshop.protocols.openai.reply import ReplyLimits
from tuckshop.protocols.openai.table import route

_log: Final = logging.getLogger(__name__)


class _Known(NamedTuple):
    """What a head says, whoever holds its key by now."""

    digest: bytes
    endpoint: Endpoint
    tag: str | None


class Gateway:
    """The data plane of one server."""

    def __init__(
        self,
        *,
        directory: Directory,
        ledger: Ledger,
        prices: Prices,
        counter: TokenCounter,
        bodies: LargeBodies,
        moderator: Moderator,
        upstreams: Upstreams,
        manners: UpstreamManners,
        clock: Clock,
        flood: FloodGate,
        drains: DrainLimits,
        body_limits: BodyLimits,
        body_max_bytes: Mapping[str, int],
        reply_limits: ReplyLimits,
        callers: Callers,
        house_rules: HouseRules,
        loop: asyncio.AbstractEventLoop,
        watch: Watch | None = None,
        body_log: BodyLog | None = None,
    ) -> None:
        watch = watch or Unwatched()
        body_log = body_log or NoBodyLog()
        self._bodies = bodies
        self._moderator = moderator
        self._directory = directory
        self._clock = clock
        self._flood = flood
        self._callers = callers
        self._house_rules = house_rules
        self._body_max_bytes = body_max_bytes  # per endpoint group; "" for the others
        entitlements = Entitlements(prices, upstreams, manners.pseudonym_of)
        self._admission = Admission(
            directory=directory,
            ledger=ledger,
            counter=counter,
            entitlements=entitlements,
            upstreams=upstreams,
            clock=clock,
            body_limits=body_limits,
        )
        self._dispatcher = Dispatcher(
            upstreams,
            manners,
            RelayTools(
                ledger=ledger,
                drains=Drains(drains),
                clock=clock,
                loop=loop,
                reply_limits=reply_limits,
                watch=watch,
            ),
            body_log,
        )
        self._free_calls = FreeCalls(
            admission=self._admission,
            ledger=ledger,
            entitlements=entitlements,
            prices=prices,
            upstreams=upstreams,
        )
        self._refusals = Refusals(
            directory=directory,
            ledger=ledger,
            clock=clock,
            watch=watch,
            callers=callers,
            body_log=body_log,
        )

    # ── called by the edge ────────────────────────────────────────────────────────────────────────────────────

    def admit_head(self, head: RequestHead) -> HeadVerdict:
        """Who calls which endpoint; raises the refusal, before any of the body is read."""
        now_us = self._clock.now_us()
        known: _Known | None = head.learned  # of the last request, which said the same
        directory = self._directory
        if known is None:
            digest = digest_of(secret_of(head.headers, foreign=directory.holds_foreign_keys))
        else:
            digest = known.digest
        holder = may_call(directory.find(digest, now_us), now_us)
        self._flood.pass_through(holder.key.id, self._clock.monotonic_s())
        if known is None:
            endpoint, tag = route(head.method, head.path), tag_of(head.headers)
            known = head.learned = _Known(digest, endpoint, tag)
        endpoint = known.endpoint
        arrival = Arrival(
            request_id=new_id("req", now_us),
            digest=digest,
            holder=holder,
            endpoint=endpoint,
            tag=known.tag,
            network=self._callers.network_of(head.peer),
        )
        most = self._body_max_bytes.get(endpoint.group, self._body_max_bytes[""])
        return HeadVerdict(max_body=most, context=arrival, asker=holder.member.id)

    def refuse(self, error: RefusalError, head: RequestHead | None) -> tuple[int, Headers, bytes]:
        """Word a refusal of the edge, or one that `admit_head` raised; a known key gets its row."""
        return self._refusals.at_the_edge(error, head)

    async def handle(self, exchange: Exchange) -> None:
        """Serve one request, complete with its body. Returns once it is dispatched or answered."""
        arrival = exchange.context
        assert isinstance(arrival, Arrival)
        try:
            await self._serve(arrival, exchange)
        except RefusalError as refusal:
            self._refusals.of_call(arrival, exchange, refusal)
        except Exception:  # noqa: BLE001 - the outer edge of a call: logged, and answered
            _log.exception("request %s failed", arrival.request_id)
            fault = ServerBusyError("a fault of the server; it is logged")
            self._refusals.of_call(arrival, exchange, fault)

    async def _serve(self, arrival: Arrival, exchange: Exchange) -> None:
        began_s = self._clock.monotonic_s()
        book = None
        if arrival.holder.group.rules is not None:
            book = self._house_rules.let_in(arrival, exchange.peer)
        if arrival.endpoint.group == "models":
            await self._free_calls.serve(arrival, exchange)
            return
        if is_large(exchange.body) or (book is not None and is_long(book, exchange.body)):
            await serve_large(
                self._admission,
                self._dispatcher,
                self._bodies,
                self._house_rules,
                self._moderator,
                arrival,
                exchange,
                began_s,
            )
            return
        admission, dispatcher = self._admission, self._dispatcher
        policy = admission.policy_for(arrival)
        tree, facts = admission.read(arrival.endpoint, policy, exchange.body)
        arrival.model = facts.model
        is_changed = False
        if book is not None and book.rules.reads_bodies:
            tree, facts, is_changed = self._house_rules.hold(arrival, book, admission, tree, facts)
        call, granted = await admission.admit(
            arrival, facts, partial(_texts_in, arrival.endpoint, tree)
        )
        if exchange.client_left:
            dispatcher.give_back(call, "client_left")
            return
        upstream = dispatcher.upstream_of(call)
        try:
            how = dispatcher.rewriting(call, granted, upstream)
            body = rewrite(call.endpoint, tree, facts, how, is_changed=is_changed)
        except BaseException:
            dispatcher.give_back(call, "server_fault")
            raise
        sent = exchange.body if body is None else body
        if call.policy.moderation is None:
            dispatcher.dispatch(call, granted, upstream, sent, exchange, began_s, NO_MARKS)
            return
        marks = await moderated(
            self._moderator, admission, dispatcher, arrival, call, upstream, sent
        )
        if exchange.client_left:
            dispatcher.give_back(call, "client_left")
            return
        make = partial(self._moderator.relay, upstream)
        dispatcher.dispatch(call, granted, upstream, sent, exchange, began_s, marks, make)
        self._moderator.check_beside(call, upstream, sent)

    # ── called from above ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def relaying(self) -> int:
        """How many calls are at the upstream."""
        return len(self._dispatcher)

    @property
    def is_busy(self) -> bool:
        """Is any call at the upstream, with or without a client?"""
        return len(self._dispatcher) > 0

    def cut_off(self, is_meant: Callable[[Holder], bool]) -> None:
        """End the client's side of running calls whose key, member or group was revoked or paused (K3)."""
        for relay in self._dispatcher.running(lambda call: is_meant(call.holder)):
            relay.cut(self._why_cut(relay.call.holder))

    def _why_cut(self, holder: Holder) -> RefusalError:
        """What the holder's next call would be told."""
        now_us = self._clock.now_us()
        try:
            may_call(self._directory.find(holder.key.digest, now_us), now_us)
        except RefusalError as refusal:
            return refusal
        return KeyPausedError()  # and active again already

    def cancel_all(self) -> None:
        """Shutdown's deadline has come: every running call is charged its bound."""
        for relay in self._dispatcher.running():
            relay.cancel("shutdown")


async def _texts_in(endpoint: Endpoint, tree: Tree) -> Sequence[LongText]:
    return long_texts(endpoint, tree)
