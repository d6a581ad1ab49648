"""
The data plane: the six steps of a call, in their order.

    identify → understand → admit → relay → meter → settle

`Gateway` is what the edge calls: `admit_head` when a request's head is complete, `handle` when its body is. From the
dispatch on a `Relay` has the call; nothing awaits it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import (
    InvalidApiKeyError,
    KeyPausedError,
    RefusalError,
    RoughBoundError,
    ServerBusyError,
    StaleDirectoryError,
    UpstreamUnavailableError,
)
from tuckshop.domain.ids import new_id
from tuckshop.domain.keys import digest_of
from tuckshop.domain.policy import Policy, limits_for, policy_of
from tuckshop.domain.records import Holder
from tuckshop.domain.reservation import (
    CapWish,
    Flag,
    Granted,
    Hold,
    Outcome,
    RefusedRow,
    Void,
)
from tuckshop.domain.watch import Unwatched, Watch
from tuckshop.edge.app import HeadVerdict
from tuckshop.edge.exchange import Exchange
from tuckshop.edge.head import Headers, RequestHead
from tuckshop.gateway import outcome
from tuckshop.gateway.call import (
    FREE,
    Call,
    Course,
    allowed_endpoint,
    bounded,
    course_of,
    priced_model,
)
from tuckshop.gateway.counting import TokenCounter, at_best, saved_by_counting
from tuckshop.gateway.credential import secret_of
from tuckshop.gateway.drains import DrainLimits, Drains
from tuckshop.gateway.flood import FloodGate
from tuckshop.gateway.identify import may_call
from tuckshop.gateway.models import model_body, models_body
from tuckshop.gateway.relay import Relay, RelayTools, Resolver
from tuckshop.pricing.prices import ModelPrice, PriceList
from tuckshop.protocols import json_body
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai import errors as wording
from tuckshop.protocols.openai.body import BodyFacts
from tuckshop.protocols.openai.facts import understand, unknown_parameter
from tuckshop.protocols.openai.headers import answer_headers, upstream_headers
from tuckshop.protocols.openai.outgoing import Profile, rewrite
from tuckshop.protocols.openai.table import GROUPS, model_in, route
from tuckshop.upstreams.pool import UpstreamPool

_log: Final = logging.getLogger(__name__)

STALE_TRIES: Final = (
    3  # how often a call is identified again because the directory changed under it
)
AT_ONCE_S: Final = 0.1  # a call that is sent back later than this had waited
OFF_LOOP_BYTES: Final = 256 << 10  # a larger body is parsed in a thread
TAG_MAX: Final = 64
ENTITLEMENTS_MAX: Final = 4_096


class Directory(Protocol):
    """Who holds which key, in memory."""

    def find(self, digest: bytes, now_us: int) -> Holder | None:
        """The holder of the key with this digest, whatever its state."""


class Ledger(Resolver, Protocol):
    """Where reservations live. Promises hold across tasks, processes and instances."""

    async def reserve(self, hold: Hold) -> Granted:
        """Take the hold from every limit or from none, durably (M1, M2, M3). Raises the refusal of the tightest."""

    def refuse(self, row: RefusedRow) -> None:
        """Note a refusal of a known key."""

    def pin_price(self, price_id: str, content: str) -> None:
        """Keep the price that a hold is computed with (M11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The one upstream of this server, or what is known of it while it has none."""

    name: str
    profile: Profile
    pool: UpstreamPool | None  # None: no credential is set
    credential: str
    pseudonym_of: Callable[[str], str]  # member id → what the upstream may know of them (P3)
    gap_s: float
    reasoning_gap_s: float


@dataclass(slots=True, kw_only=True)
class Arrival:
    """A request whose head has passed: who calls what."""

    request_id: str
    digest: bytes
    holder: Holder
    endpoint: Endpoint
    tag: str | None


class Entitlement:
    """What is worked out of a holder once, and holds for as long as the directory gives out the same one."""

    __slots__ = ("courses", "holder", "policy", "pseudonym")

    def __init__(self, holder: Holder, pseudonym: str) -> None:
        self.holder = holder
        self.policy = policy_of(holder)
        self.pseudonym = pseudonym  # what the upstream may know of the member (P3)
        self.courses: dict[tuple[str, str], Course] = {}  # by endpoint and the model as asked for


class Gateway:
    """The data plane of one server."""

    def __init__(
        self,
        *,
        directory: Directory,
        ledger: Ledger,
        prices: PriceList,
        counter: TokenCounter,
        upstream: Upstream,
        clock: Clock,
        flood: FloodGate,
        drains: DrainLimits,
        json_max_depth: int,
        body_max_bytes: Mapping[str, int],
        loop: asyncio.AbstractEventLoop,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch or Unwatched()
        self._directory = directory
        self._ledger = ledger
        self._prices = prices
        self._counter = counter
        self._upstream = upstream
        self._clock = clock
        self._flood = flood
        self._json_max_depth = json_max_depth
        self._body_max_bytes = body_max_bytes  # per endpoint group; "" for the others
        self._tools = RelayTools(
            ledger=ledger,
            drains=Drains(drains),
            prices=prices,
            clock=clock,
            loop=loop,
            watch=self._watch,
            credential=upstream.credential,
        )
        self._running: set[Relay] = set()
        self._pinned: set[str] = set()
        self._entitlements: dict[str, Entitlement] = {}  # by key id; the longest known first

    # ── identify ──────────────────────────────────────────────────────────────────────────────────────────────

    def admit_head(self, head: RequestHead) -> HeadVerdict:
        """Who calls which endpoint; raises the refusal, before any of the body is read."""
        now_us = self._clock.now_us()
        digest = digest_of(secret_of(head.headers))
        holder = may_call(self._directory.find(digest, now_us), now_us)
        self._flood.pass_through(holder.key.id, self._clock.monotonic_s())
        endpoint = route(head.method, head.path)
        arrival = Arrival(
            request_id=new_id("req", now_us),
            digest=digest,
            holder=holder,
            endpoint=endpoint,
            tag=_tag_of(head.headers),
        )
        most = self._body_max_bytes.get(endpoint.group, self._body_max_bytes[""])
        return HeadVerdict(max_body=most, context=arrival)

    def refuse(self, error: RefusalError, head: RequestHead | None) -> tuple[int, Headers, bytes]:
        """Word a refusal of the edge, or one that `admit_head` raised; a known key gets its row."""
        self._watch.refused(error.code)
        now_us = self._clock.now_us()
        request_id = new_id("req", now_us)
        holder = self._known_holder(head, now_us) if head is not None else None
        if holder is not None:
            self._note(error, request_id=request_id, holder=holder)
        return wording.refusal(error, now_us=now_us, request_id=request_id)

    async def handle(self, exchange: Exchange) -> None:
        """Serve one request, complete with its body. Returns once it is dispatched or answered."""
        arrival = exchange.context
        assert isinstance(arrival, Arrival)
        try:
            await self._serve(arrival, exchange)
        except RefusalError as refusal:
            self._refuse(arrival, exchange, refusal)
        except Exception:  # noqa: BLE001 - the outer edge of a call: logged, and answered
            _log.exception("request %s failed", arrival.request_id)
            self._refuse(arrival, exchange, ServerBusyError("a fault of the server; it is logged"))

    def _known_holder(self, head: RequestHead, now_us: int) -> Holder | None:
        try:
            return self._directory.find(digest_of(secret_of(head.headers)), now_us)
        except InvalidApiKeyError:
            return None

    # ── understand, admit ─────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, arrival: Arrival, exchange: Exchange) -> None:
        began_s = self._clock.monotonic_s()
        if arrival.endpoint.group == "models":
            await self._serve_models(arrival, exchange)
            return
        if len(exchange.body) > OFF_LOOP_BYTES:
            await self._serve_large(arrival, exchange, began_s)
            return
        tree, facts = self._read(arrival.endpoint, self._policy_for(arrival), exchange.body)
        call, granted = await self._admit(arrival, partial(self._understand, arrival, tree, facts))
        if exchange.client_left:
            self._give_back(call, "client_left")
            return
        try:
            body = self._written(call, granted)
        except BaseException:
            self._give_back(call, "server_fault")
            raise
        self._dispatch(call, granted, body, exchange, began_s)

    async def _serve_large(self, arrival: Arrival, exchange: Exchange, began_s: float) -> None:
        """`_serve`, with whatever takes time in proportion to the body done in a thread (section 8)."""
        tree, facts = await asyncio.to_thread(
            self._read, arrival.endpoint, self._policy_for(arrival), exchange.body
        )
        call, granted = await self._admit(arrival, partial(self._understand, arrival, tree, facts))
        try:
            body = await asyncio.to_thread(self._written, call, granted)
            # Meanwhile the key may have been revoked, and nothing that runs was there to be cut off (K3).
            now_us = self._clock.now_us()
            may_call(self._directory.find(arrival.digest, now_us), now_us)
        except asyncio.CancelledError:
            self._give_back(call, "client_left")
            raise
        except RefusalError as refusal:
            self._give_back(call, refusal.code)
            raise
        except BaseException:
            self._give_back(call, "server_fault")
            raise
        if exchange.client_left:
            self._give_back(call, "client_left")
        else:
            self._dispatch(call, granted, body, exchange, began_s)

    async def _admit(
        self, arrival: Arrival, understand_it: Callable[[int | None], Call]
    ) -> tuple[Call, Granted]:
        """
        Understand and reserve; once more from *identify* on when the directory changed under it.

        Only being sent back at once counts as a try: a call that waited for held amounts was right when it began.
        Once more too, with its input counted exactly, where the byte bound does not fit.
        """
        tries = 0
        saved: int | None = None  # known once the input was counted, which it is once at most
        while tries < STALE_TRIES:
            call = understand_it(saved)
            asked_s = self._clock.monotonic_s()
            try:
                return call, await self._ledger.reserve(call.hold())
            except RoughBoundError:
                assert call.counting is not None
                saved = await saved_by_counting(
                    self._counter,
                    call.counting,
                    endpoint=call.endpoint,
                    tree=call.tree,
                    asker=call.holder.member.id,
                )
            except StaleDirectoryError:
                tries += self._clock.monotonic_s() - asked_s < AT_ONCE_S
                now_us = self._clock.now_us()
                arrival.holder = may_call(self._directory.find(arrival.digest, now_us), now_us)
        raise ServerBusyError("the directory changes too quickly", retry_after_s=1)

    def _read(
        self, endpoint: Endpoint, policy: Policy, body: bytes
    ) -> tuple[json_body.Tree, BodyFacts]:
        tree = json_body.parse(body, max_depth=self._json_max_depth)
        allowed_endpoint(endpoint, policy, GROUPS)
        return tree, understand(endpoint, tree, pass_unknown=policy.unknown_parameters == "pass")

    def _understand(
        self, arrival: Arrival, tree: json_body.Tree, facts: BodyFacts, saved: int | None
    ) -> Call:
        """The call that a body asks for; *saved*: by how much counting lowered its bound, None before that."""
        endpoint, holder = arrival.endpoint, arrival.holder
        entitlement = self._entitlement_of(holder)
        policy = entitlement.policy
        # Asked again, because the policy may be another one than when the body was read.
        allowed_endpoint(endpoint, policy, GROUPS)
        if facts.unknown_parameters and policy.unknown_parameters != "pass":
            raise unknown_parameter(facts.unknown_parameters[0])
        course = self._course(entitlement, endpoint, facts.model)
        price = course.price
        tokens, cap = bounded(facts, price, policy=policy, endpoint=endpoint, saved=saved or 0)
        if self._upstream.pool is None:
            raise UpstreamUnavailableError(retryable=False)
        self._pin(price)
        return Call(
            request_id=arrival.request_id,
            endpoint=endpoint,
            holder=holder,
            policy=policy,
            tag=arrival.tag,
            model=price.model,
            price=price,
            limits=course.limits,
            terms=course.terms_for(tokens),
            pseudonym=entitlement.pseudonym,
            tree=tree,
            facts=facts,
            input_tokens=tokens,
            cap=cap,
            counting=course.counting,
            at_best=at_best(facts, course, tokens) if saved is None else None,
        )

    def _pin(self, price: ModelPrice) -> None:
        if price.price_id not in self._pinned:
            self._ledger.pin_price(price.price_id, price.to_json())
            self._pinned.add(price.price_id)

    def _policy_for(self, arrival: Arrival) -> Policy:
        return self._entitlement_of(arrival.holder).policy

    def _entitlement_of(self, holder: Holder) -> Entitlement:
        known = self._entitlements.get(holder.key.id)
        if known is not None and known.holder is holder:
            return known
        if len(self._entitlements) >= ENTITLEMENTS_MAX:
            del self._entitlements[next(iter(self._entitlements))]
        made = Entitlement(holder, self._upstream.pseudonym_of(holder.member.id))
        self._entitlements[holder.key.id] = made
        return made

    def _course(self, entitlement: Entitlement, endpoint: Endpoint, asked: str) -> Course:
        course = entitlement.courses.get((endpoint.name, asked))
        if course is None:
            course = course_of(
                asked,
                endpoint=endpoint,
                policy=entitlement.policy,
                prices=self._prices,
                upstream=self._upstream.name,
                # A compatible server may run any model under any name.
                may_count=self._upstream.profile == "openai",
            )
            # Only models that exist and are allowed come this far, so there are few.
            entitlement.courses[endpoint.name, asked] = course
        return course

    # ── relay ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _give_back(self, call: Call, why: str) -> None:
        """It ends before anything was sent: the hold is void (M10)."""
        flags: frozenset[Flag] = frozenset({"client_left"} if why == "client_left" else ())
        self._ledger.void(
            Void(
                request_id=call.request_id,
                outcome=Outcome(http_status=None, error=why),
                flags=flags,
            )
        )

    def _written(self, call: Call, granted: Granted) -> bytes | None:
        """The body to be sent; None: the client's own bytes."""
        assert call.price is not None
        assert call.facts is not None
        return rewrite(
            call.endpoint,
            call.tree,
            call.facts,
            profile=self._upstream.profile,
            model=call.model,
            cap=granted.cap if _must_state(call, granted, self._upstream.profile) else None,
            cap_field=call.price.cap_field,
            pseudonym=call.pseudonym,
        )

    def _dispatch(
        self,
        call: Call,
        granted: Granted,
        body: bytes | None,
        exchange: Exchange,
        began_s: float,
    ) -> None:
        upstream, price, facts = self._upstream, call.price, call.facts
        assert upstream.pool is not None
        assert price is not None
        assert facts is not None
        relay = Relay(
            call=call,
            granted=granted,
            exchange=exchange,
            began_s=began_s,
            tools=self._tools,
            on_done=self._running.discard,
        )
        try:
            sent = upstream.pool.open(
                call.endpoint.method,
                call.endpoint.path,
                upstream_headers(
                    credential=upstream.credential, request_id=call.request_id, stream=facts.stream
                ),
                exchange.body if body is None else body,
                relay,
                gap_timeout_s=upstream.reasoning_gap_s if price.reasons else upstream.gap_s,
            )
        except ValueError:  # it cannot be sent at all
            self._give_back(call, "server_fault")
            raise
        except BaseException:  # nobody can say whether some of it was sent (M9)
            fault = Outcome(http_status=None, error="server_fault")
            self._ledger.settle(outcome.charge_bound(granted, outcome=fault, flags=frozenset()))
            raise
        self._running.add(relay)
        relay.start(sent)

    @property
    def relaying(self) -> int:
        """How many calls are at the upstream."""
        return len(self._running)

    @property
    def is_busy(self) -> bool:
        """Is any call at the upstream, with or without a client?"""
        return bool(self._running)

    def cut_off(self, is_meant: Callable[[Holder], bool]) -> None:
        """End the client's side of running calls whose key, member or group was revoked or paused (K3)."""
        for relay in [r for r in self._running if is_meant(r.call.holder)]:
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
        for relay in list(self._running):
            relay.cancel("shutdown")

    # ── calls that nothing is sent for ────────────────────────────────────────────────────────────────────────

    async def _serve_models(self, arrival: Arrival, exchange: Exchange) -> None:
        call, granted = await self._admit(
            arrival, lambda _: self._free_call(arrival, exchange.path)
        )
        self._ledger.settle(outcome.charge_nothing(granted, Outcome(http_status=200), frozenset()))
        headers = answer_headers(
            request_id=call.request_id,
            content_type=b"application/json",
            is_stream=False,
            states=granted.states,
            now_us=granted.at_us,
            upstream_request_id=None,
            cost_usd="0",
            output_cap=None,
            lowered_by=None,
        )
        prices, upstream = self._prices, self._upstream.name
        price = prices.find(call.model)
        body = model_body(price, upstream) if price else models_body(prices, call.policy, upstream)
        exchange.reply(200, headers, body)

    def _free_call(self, arrival: Arrival, path: str) -> Call:
        endpoint, holder = arrival.endpoint, arrival.holder
        policy = self._policy_for(arrival)
        allowed_endpoint(endpoint, policy, GROUPS)
        model = ""
        if endpoint.name == "models.get":
            model = priced_model(
                model_in(path), policy=policy, prices=self._prices, upstream=self._upstream.name
            ).model
        return Call(
            request_id=arrival.request_id,
            endpoint=endpoint,
            holder=holder,
            policy=policy,
            tag=arrival.tag,
            model=model,
            price=None,
            limits=limits_for(policy, model, (), endpoint.group),
            terms=FREE,
            pseudonym=None,
            tree={},
            facts=None,
            input_tokens=0,
            cap=CapWish(wanted=0, greatest=0, least=0),
        )

    # ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────

    def _refuse(self, arrival: Arrival, exchange: Exchange, refusal: RefusalError) -> None:
        self._watch.refused(refusal.code)
        self._note(
            refusal,
            request_id=arrival.request_id,
            holder=arrival.holder,
            endpoint=arrival.endpoint.name,
            tag=arrival.tag,
        )
        exchange.reply(
            *wording.refusal(refusal, now_us=self._clock.now_us(), request_id=arrival.request_id)
        )

    def _note(
        self,
        refusal: RefusalError,
        *,
        request_id: str,
        holder: Holder,
        endpoint: str = "",
        tag: str | None = None,
    ) -> None:
        self._ledger.refuse(
            RefusedRow(
                request_id=request_id,
                workspace_id=holder.workspace.id,
                group_id=holder.group.id,
                member_id=holder.member.id,
                key_id=holder.key.id,
                endpoint=endpoint,
                model="",
                error=refusal.code,
                http_status=refusal.status,
                tag=tag,
            )
        )


def _must_state(call: Call, granted: Granted, profile: Profile) -> bool:
    """Has the granted cap to be written into the body?"""
    assert call.facts is not None
    if profile == "compatible" and call.facts.cap_wanted is None:
        return True  # how much such a server makes of a model by that name, no price list knows
    return call.is_lowered_by(granted.cap)


def _tag_of(headers: list[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"x-tuckshop-tag":
            tag = value.decode("latin-1")
            if len(tag) > TAG_MAX or not all("!" <= c <= "~" for c in tag):
                raise wording.bad_tag(TAG_MAX)
            return tag or None
    return None
