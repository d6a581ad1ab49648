"""Admit one call: look at every limit it meets, decide, and take the hold from all of them or from none (M1, M2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from tuckshop.domain.errors import RateLimitExceededError, RefusalError, RoughBoundError
from tuckshop.domain.reservation import Flag, Granted, Hold, LimitInForce
from tuckshop.ledger.arithmetic import (
    Grant,
    Refuse,
    Standing,
    Wait,
    amounts_at,
    decide,
    fits_whole,
    is_too_rough,
    most_of,
    takes_from,
    vector_of,
)
from tuckshop.ledger.books import Books
from tuckshop.ledger.contributions import open_vectors
from tuckshop.ledger.lifts import Lift
from tuckshop.ledger.lineup import Lineup
from tuckshop.ledger.open_rows import OpenRow, scope_chain
from tuckshop.ledger.refusals import HELD_RETRY_S, readings_of, refusal_of, state_of
from tuckshop.ledger.sums import Unsummed
from tuckshop.ledger.tallies import Tally, TallyKey
from tuckshop.ledger.waiting import WaitingRoom

_CLAMPED: Final[frozenset[Flag]] = frozenset({"clamped"})
_NO_FLAGS: Final[frozenset[Flag]] = frozenset()


@dataclass(frozen=True, slots=True)
class Blocked:
    """It fits into what is not used, but running calls hold it, or others wait for it already."""

    keys: tuple[TallyKey, ...]  # the limits to wait for
    limit: LimitInForce  # the first of them, to be named should the wait be in vain
    tally: Tally
    lift: int  # how far that limit may be passed
    look_again_us: int | None  # when the first sub-window of one of them leaves


class Lifted(NamedTuple):
    """What lifts the limits of one call."""

    by_place: tuple[int, ...]  # how far each of them may be passed
    found: tuple[Lift, ...]  # to be written once it is admitted


Attempt: TypeAlias = Granted | RefusalError | RoughBoundError | Blocked | Unsummed | ValueError


class Admission:
    """Decides over the books and the waiting room."""

    def __init__(self, books: Books, room: WaitingRoom, boot_id: str) -> None:
        self._books = books
        self._room = room
        self._boot_id = boot_id

    def attempt(self, hold: Hold, *, ticket: int, waited_s: float) -> Attempt:
        """What becomes of *hold* now. If it is granted, it is entered in the books."""
        lineup = self._books.lineup_of(hold)
        if isinstance(lineup, Unsummed):
            return lineup
        if lineup is None:
            return ValueError("a hold takes from limits outside of its chain of scopes")
        lifted = self._lifted(lineup) if lineup.liftable else None
        if not self._room.waiters:
            most = most_of(hold)
            held = amounts_at(hold, most)
            if fits_whole(hold, vector_of(held), _rooms(lineup, lifted)):
                return self._enter(hold, Grant(most, None, held), lineup, lifted, waited_s)
        return self._look_closer(hold, lineup, lifted, ticket, waited_s)

    def _lifted(self, lineup: Lineup) -> Lifted:
        lifts = self._books.lifts
        found = tuple(
            lifts.look(lineup.limits[place], lineup.tallies[place]) for place in lineup.liftable
        )
        by_tally = {
            lineup.tallies[place]: lift.amount
            for place, lift in zip(lineup.liftable, found, strict=True)
        }
        return Lifted(tuple(by_tally.get(tally, 0) for tally in lineup.tallies), found)

    def _look_closer(
        self, hold: Hold, lineup: Lineup, lifted: Lifted | None, ticket: int, waited_s: float
    ) -> Attempt:
        tallies = lineup.tallies
        standings: list[Standing] = []
        for place, (limit, tally) in enumerate(zip(hold.limits, tallies, strict=True)):
            source = tally if tally.rolling is not None else tally.current
            assert source is not None
            lift = lifted.by_place[place] if lifted else 0
            standings.append(Standing(limit, tally.slot, source.used, source.held, lift))
        decision = decide(hold, standings)
        if hold.at_best is not None and is_too_rough(hold, decision, standings):
            return RoughBoundError()
        if isinstance(decision, Refuse):
            return refusal_of(decision, standings, tallies, self._books.transaction.now_us)
        keys = self._keys_to_wait_for(hold, decision, standings, tallies, ticket)
        if keys:
            return _blocked(standings, keys, tallies)
        assert isinstance(decision, Grant)
        return self._enter(hold, decision, lineup, lifted, waited_s)

    def _keys_to_wait_for(
        self,
        hold: Hold,
        decision: Grant | Wait,
        standings: list[Standing],
        tallies: Sequence[Tally],
        ticket: int,
    ) -> list[TallyKey]:
        keys: list[TallyKey] = []
        if isinstance(decision, Wait):
            blocking = {id(standing) for standing in decision.for_}
            keys = [
                tally.key
                for standing, tally in zip(standings, tallies, strict=True)
                if id(standing) in blocking
            ]
        if self._room.waiters:
            keys += self._room.ahead_of(
                ticket, [tally.key for tally in tallies if takes_from(hold, tally.slot)]
            )
        return keys

    def refusal(self, blocked: Blocked) -> RateLimitExceededError:
        """What is told when the wait was in vain."""
        return RateLimitExceededError(
            state=state_of(
                blocked.limit, blocked.tally, self._books.transaction.now_us, blocked.lift
            ),
            retry_after_s=HELD_RETRY_S,
            held_by=self._running(blocked.tally),
        )

    def _running(self, tally: Tally) -> int:
        """How many running calls hold something of *tally*."""
        scope_key = tally.scope_key
        return sum(
            scope_key in row.scope_keys
            and tally.selector.covers(*row.covered)
            and tally.counter_at(row.admitted_at) is not None
            for row in self._books.open.values()
        )

    def _enter(
        self, hold: Hold, grant: Grant, lineup: Lineup, lifted: Lifted | None, waited_s: float
    ) -> Granted:
        books = self._books
        if lifted is not None:
            for lift in lifted.found:
                books.lifts.enter(lift)
        transaction = books.transaction
        now_us = transaction.now_us
        held = grant.held
        position = transaction.next_position(hold.workspace_id)
        covered = lineup.meeting[-1]
        counters = books.counters.take(
            lineup,
            *open_vectors(held.cost_nano, held.input_tokens, held.output_tokens, held.images),
        )
        if lineup.has_others:
            self._forget_others(lineup)
        flags = _NO_FLAGS if grant.lowered_by is None else _CLAMPED
        queue_ms = int(waited_s * 1000)
        books.insert(
            OpenRow(
                hold.workspace_id,
                hold.request_id,
                position,
                now_us,
                self._boot_id,
                hold.group_id,
                hold.member_id,
                hold.key_id,
                hold.endpoint,
                covered,
                held.cost_nano,
                held.input_tokens,
                held.output_tokens,
                held.images,
                flags,
                counters or (),
                0 if counters is None else books.counters.generation,
            ),
            (
                hold.workspace_id,
                hold.request_id,
                position,
                now_us,
                self._boot_id,
                hold.group_id,
                hold.member_id,
                hold.key_id,
                hold.endpoint,
                hold.endpoint_group,
                hold.model,
                " ".join(hold.model_aliases),
                hold.upstream,
                hold.terms.price_id,
                grant.cap,
                held.cost_nano,
                held.input_tokens,
                held.output_tokens,
                held.images,
                "clamped" if flags else "",
                queue_ms,
                hold.tag,
                hold.network,
            ),
        )
        return Granted(
            request_id=hold.request_id,
            position=position,
            at_us=now_us,
            cap=grant.cap,
            lowered_by=None if grant.lowered_by is None else grant.lowered_by.limit,
            held=held,
            limits=hold.limits,
            readings=readings_of(lineup.tallies, now_us, lifted.by_place if lifted else ()),
            queue_ms=queue_ms,
        )

    def _forget_others(self, lineup: Lineup) -> None:
        """This call counts in kinds that no limit of its policy uses (any more): they are not kept up."""
        workspace_id, group_id, member_id, key_id, covered = lineup.meeting
        for key in scope_chain(workspace_id, key_id, member_id, group_id):
            scope = self._books.counters.scope(key)
            for tally in scope.covering(covered):
                if tally not in lineup.once:
                    self._books.counters.forget(scope, tally)


def _rooms(lineup: Lineup, lifted: Lifted | None) -> list[tuple[int, int]]:
    """Of each limit the slot of its metric, and what is neither used nor held."""
    rooms = []
    for tally, slot, amount in lineup.places:
        source = tally if tally.rolling is not None else tally.current
        assert source is not None
        rooms.append((slot, amount - source.used - source.held))
    if lifted is None:
        return rooms
    return [(slot, room + lift) for (slot, room), lift in zip(rooms, lifted.by_place, strict=True)]


def _blocked(
    standings: Sequence[Standing], keys: list[TallyKey], tallies: Sequence[Tally]
) -> Blocked:
    wanted = set(keys)
    waited_for = [
        (standing, tally)
        for standing, tally in zip(standings, tallies, strict=True)
        if tally.key in wanted
    ]
    standing, tally = waited_for[0]
    leaving = [
        next(iter(t.counters.values())).end_us
        for _, t in waited_for
        if t.rolling is not None and t.counters
    ]
    return Blocked(tuple(wanted), standing.limit, tally, standing.lift, min(leaving, default=None))
