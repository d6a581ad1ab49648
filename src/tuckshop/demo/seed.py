"""
Writes the made-up week down through the real services and the real ledger, so that everything about it holds.

The clock is one that is moved: each call is reserved, settled or voided at its own time, as the gateway would have.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import UNSET

from tuckshop.demo import story
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.errors import RefusalError
from tuckshop.domain.ids import new_id
from tuckshop.domain.keys import digest_of
from tuckshop.domain.policy import Policy, limits_for, policy_of
from tuckshop.domain.records import Holder
from tuckshop.domain.reservation import CapWish, Flag, Granted, Outcome, RefusedRow
from tuckshop.folder_files import PSEUDONYMS, derived, master_secret, pseudonym
from tuckshop.gateway import outcome
from tuckshop.gateway.call import FLOOR_TOKENS, Call
from tuckshop.gateway.outcome import Reported
from tuckshop.gateway.ports import DEFAULT_UPSTREAM
from tuckshop.keeping.keeper import Keeper
from tuckshop.ledger.engine import Engine
from tuckshop.ledger.ledger import Ledger
from tuckshop.pricing.bound import input_bound, terms_of
from tuckshop.pricing.cost import Usage
from tuckshop.pricing.price_book import PriceBook
from tuckshop.pricing.prices import ModelPrice, PriceList
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai.headers import Telling
from tuckshop.protocols.openai.table import ENDPOINTS, GROUPS
from tuckshop.services.assembly import Services, assemble
from tuckshop.services.opening import open_directory
from tuckshop.services.roster import RosterLine
from tuckshop.services.shapes.groups import NewGroup
from tuckshop.services.shapes.members import NewMember
from tuckshop.storage.database import prepare
from tuckshop.storage.person_keys import PERSON_KEYS, PersonKeys
from tuckshop.storage.sealing import KEY_BYTES, Sealer
from tuckshop.storage.writer import Writer
from tuckshop.upstreams.pool import UpstreamPool
from tuckshop.upstreams.registry import UpstreamRegistry

BEFORE_US: Final = 2 * 86_400 * US_PER_SECOND  # how long before its week the class was set up
# The first of the table that takes models of the family.
_BY_FAMILY: Final[dict[str, Endpoint]] = {
    family: row for row in reversed(ENDPOINTS) for family in row.families
}


class MovedClock:
    """`domain.clock.Clock` that stands still until it is moved; its three readings move together."""

    def __init__(self, at_us: int) -> None:
        self._at_us = at_us

    def move_to(self, at_us: int) -> None:
        """Go on to *at_us*; never back."""
        self._at_us = max(self._at_us, at_us)

    def now_us(self) -> int:
        """The made-up time in microseconds since 1970."""
        return self._at_us

    def monotonic_s(self) -> float:
        """The same in seconds."""
        return self._at_us / US_PER_SECOND

    def boot_s(self) -> float:
        """The same in seconds."""
        return self._at_us / US_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Classroom:
    """The class, as it was made."""

    keys: tuple[str, ...]  # the secret of each student's key


async def fill(folder: Path, *, until_us: int) -> Classroom:
    """
    Make the ledger of *folder* and let the class live through the week before *until_us*.

    Raises:
        StoreError: The folder cannot be used.
    """
    calls = story.week(until_us)
    clock = MovedClock(calls[0].at_us - BEFORE_US)
    # Made up, so it may be lost with the power.
    database = prepare(folder, durability="process")
    async with contextlib.AsyncExitStack() as after:
        after.callback(database.close)
        master = master_secret(folder)
        person_keys = PersonKeys.open_beside(database.path, derived(master, PERSON_KEYS))
        after.callback(person_keys.close)
        prices = PriceList.load()
        engine = Engine(clock, boot_id=new_id("boot", clock.now_us()))
        writer = Writer(database, clock, handler=engine)
        await writer.start()
        after.push_async_callback(writer.close)
        ledger = Ledger(writer, engine, database, clock)
        services = assemble(
            directory=await open_directory(writer, zone="UTC"),
            writer=writer,
            ledger=ledger,
            database=database,
            prices=PriceBook(prices, clock),
            clock=clock,
            default_zone="UTC",
            endpoint_groups=GROUPS,
            # Nobody is called while the week is made up.
            registry=UpstreamRegistry(connect=lambda base, reach: UpstreamPool(base), unseal=str),
            sealer=Sealer(bytes(KEY_BYTES)),
            person_keys=person_keys,
            pseudonym_of=partial(pseudonym, derived(master, PSEUDONYMS)),
            keeper=Keeper(
                folder,
                seals=person_keys,
                clock=clock,
                loop=asyncio.get_running_loop(),
                max_bytes=0,
                each_max_bytes=0,
            ),
        )
        classroom = await make_class(services)
        await play(calls, classroom, services=services, ledger=ledger, prices=prices, clock=clock)
    return classroom


async def make_class(services: Services) -> Classroom:
    """The group, its thirty members and a key for each, as staff make them."""
    await services.groups.create(
        OPERATOR,
        NewGroup(
            name=story.GROUP,
            title=story.TITLE,
            time_zone=story.ZONE,
            models=list(story.MODELS),
            endpoints=list(story.ENDPOINTS),
            each=list(story.EACH),
            shared=list(story.SHARED),
            max_output_tokens=2000,
        ),
    )
    lines = [RosterLine(number + 1, _member(number)) for number in range(len(story.NAMES))]
    roster = await services.members.add(OPERATOR, story.GROUP, lines, issue_keys=True)
    assert not roster.errors, roster.errors
    secrets = {row.external_id: row.key for row in roster.data}
    return Classroom(
        keys=tuple(str(secrets[story.external_id(n)]) for n in range(len(story.NAMES)))
    )


async def play(
    calls: Sequence[story.Call],
    classroom: Classroom,
    *,
    services: Services,
    ledger: Ledger,
    prices: PriceList,
    clock: MovedClock,
) -> None:
    """Let *calls* happen, one after the other; returns when all of it is committed."""
    for call in calls:
        clock.move_to(call.at_us)
        secret = classroom.keys[call.student]
        holder = services.directory.find(digest_of(secret), clock.now_us())
        assert holder is not None
        price = prices.find(call.model)
        assert price is not None, f"{call.model} has no price"
        await _play_one(call, _call_of(call, holder, price, clock), ledger, clock)
    await ledger.flush()


async def _play_one(told: story.Call, call: Call, ledger: Ledger, clock: MovedClock) -> None:
    price = call.price
    assert price is not None
    ledger.pin_price(price.price_id, price.to_json())
    try:
        granted = await ledger.reserve(call.hold())
    except RefusalError as refusal:
        ledger.refuse(_refused(call, refusal))
        return
    clock.move_to(clock.now_us() + told.duration_ms * 1000)
    if told.ending == "failed":
        ended = Outcome(http_status=502, duration_ms=told.duration_ms, error="upstream_unavailable")
        ledger.void(outcome.void(granted, outcome=ended))
        return
    usage = Usage(told.input_tokens, output_tokens=min(told.output_tokens, granted.cap))
    ledger.settle(
        outcome.charge_reported(
            Reported(usage=usage, model=price.model, answered_price=price),
            granted=granted,
            price=price,
            outcome=Outcome(
                http_status=200,
                first_byte_ms=min(told.duration_ms, 450),
                duration_ms=told.duration_ms,
            ),
            flags=_flags(told, granted),
        )
    )


def _flags(told: story.Call, granted: Granted) -> frozenset[Flag]:
    flags: set[Flag] = set()
    if granted.lowered_by is not None:
        flags.add("clamped")
    if told.ending == "left":
        flags.add("client_left")
    return frozenset(flags)


def _call_of(told: story.Call, holder: Holder, price: ModelPrice, clock: MovedClock) -> Call:
    policy = policy_of(holder)
    endpoint = _BY_FAMILY[price.family]
    input_tokens = input_bound(text_bytes=told.text_bytes, messages=2, price=price)
    return Call(
        request_id=new_id("req", clock.now_us()),
        endpoint=endpoint,
        holder=holder,
        policy=policy,
        tag=None,
        model=price.model,
        upstream=DEFAULT_UPSTREAM,
        price=price,
        limits=limits_for(policy, price.model, price.aliases, endpoint.group),
        telling=Telling(()),  # nobody is answered
        terms=terms_of(price, input_bound=input_tokens, may_keep_12h=False),
        pseudonym=None,
        facts=None,
        input_tokens=input_tokens,
        cap=_cap(told, price, policy),
    )


def _cap(told: story.Call, price: ModelPrice, policy: Policy) -> CapWish:
    if price.family != "chat":
        return CapWish(wanted=0, greatest=0, least=0)
    greatest = min(price.max_output_tokens or 0, policy.max_output_tokens or 1 << 30)
    wanted = None if told.wanted is None else min(told.wanted, greatest)
    return CapWish(wanted=wanted, greatest=greatest, least=FLOOR_TOKENS)


def _refused(call: Call, refusal: RefusalError) -> RefusedRow:
    holder = call.holder
    return RefusedRow(
        request_id=call.request_id,
        workspace_id=holder.workspace.id,
        group_id=holder.group.id,
        member_id=holder.member.id,
        key_id=holder.key.id,
        endpoint=call.endpoint.name,
        model=call.model,
        error=refusal.code,
        http_status=refusal.status,
    )


def _member(number: int) -> NewMember:
    return NewMember(
        external_id=story.external_id(number),
        name=story.NAMES[number],
        email=story.email(number),
        limits=["$2/month"] if number == story.ASSISTANT else UNSET,
    )
