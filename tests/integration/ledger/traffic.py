"""
Calls without end through a real ledger, and a model that was told no more than its callers were.

`Traffic` keeps hundreds of calls of many people going, with every outcome there is, and notes whatever it was told
together with the position it was told. At the end of a round `Audit` puts all that in the order of positions and goes
through it: each reservation's reading of each limit has to be what the model says at that very position (M1, M6).
"""

from __future__ import annotations

import asyncio
import random
from array import array
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Person, hold, in_force, settlement, void
from tests.support.ledger_model import Call, Tally
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.errors import RefusalError
from tuckshop.domain.reservation import Amounts, Granted, LimitInForce, Scope
from tuckshop.domain.windows import SpanMemo, ZoneHistory
from tuckshop.ledger.ledger import Ledger
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

CALLERS: Final = 200
GROUPS: Final = tuple(f"grp_{n}" for n in range(4))
PEOPLE: Final = tuple(Person(f"key_{n:02}", f"mem_{n:02}", GROUPS[n % 4]) for n in range(40))
MODELS: Final = {"gpt-4o-mini": (), "gpt-4o-2024-08-06": ("gpt-4o",), "text-embedding-3-small": ()}
ZONE: Final = ZoneHistory.of("Europe/Berlin")  # which changes its hour twice a year
LIMITS: Final = (
    ("key", "15 requests/minute"),
    ("member", "$0.015/day"),
    ("member", "12000 tokens/minute"),
    ("member", "60 requests/5 hours on gpt-4o"),
    ("member", "$3 total"),
    ("group", "$0.9/month on gpt-4o*"),
    ("group", "40 concurrent requests"),
    ("workspace", "4000000 output tokens/day"),
    ("workspace", "500 images/hour"),
)
# Seconds that pass at a time, and how often.
STEPS: Final = {0.5: 600, 5: 250, 61: 110, 3_600: 30, 86_400: 25, 9 * 86_400: 2}

Event = tuple[int, str, Any, Any]


@dataclass
class Story:
    """What was done and told since the first round."""

    clock: FakeClock
    chance: random.Random
    number: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    billed: array[int] = field(default_factory=lambda: array("q"))  # by number; -1: not dispatched
    flagged: set[int] = field(default_factory=set)
    ended: deque[Call] = field(default_factory=lambda: deque(maxlen=3_000))
    corrected: dict[str, tuple[int, int]] = field(default_factory=dict)  # where last, to what

    def next_id(self) -> str:
        """A new call."""
        self.number += 1
        self.billed.append(-1)
        return f"req_{self.number - 1:08}"

    def bill(self, call: Call, cost_nano: int) -> None:
        """What a provider would have billed."""
        self.billed[number_of(call.id)] = cost_nano


def number_of(request_id: str) -> int:
    return int(request_id.removeprefix("req_"))


class Traffic:
    """One round: from a start of the ledger to its end."""

    def __init__(self, story: Story, ledger: Ledger, writer: Writer) -> None:
        self._story = story
        self._ledger = ledger
        self._writer = writer
        self._chance = story.chance
        self._is_ending = False
        self.limits = _limits()
        self.events: list[Event] = []
        self.left: dict[str, Call] = {}  # still open at the end
        self.withdrawn: dict[
            str, tuple[Person, str]
        ] = {}  # nobody knows yet whether they were admitted

    async def run(self, count: int) -> None:
        """*count* reservations or a few more, with all that belongs to them."""
        until = self._story.outcomes["granted"] + count
        ticking = asyncio.create_task(self._let_time_pass())
        await asyncio.gather(*(self._caller(until) for _ in range(CALLERS)))
        self._is_ending = True
        await ticking
        await self._ledger.flush()

    async def _caller(self, until: int) -> None:
        outcomes, chance = self._story.outcomes, self._chance
        while outcomes["granted"] < until:
            call = await self._reserve()
            if call is None:
                continue
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            is_last = outcomes["granted"] >= until
            if chance.random() < (0.5 if is_last else 0.0005):
                self.left[call.id] = call
                self._story.bill(call, chance.randint(0, call.held.cost_nano))
            else:
                await self._resolve(call)
            if chance.random() < 0.01 and self._story.ended:
                await self._correct(chance.choice(self._story.ended))
            if chance.random() < 0.0005:
                await self._reset()

    async def _reserve(self) -> Call | None:
        chance, outcomes = self._chance, self._story.outcomes
        person, model = chance.choice(PEOPLE), chance.choice(tuple(MODELS))
        request_id = self._story.next_id()
        wanted = chance.choice((None, 20, 150, 400))
        task = asyncio.ensure_future(
            self._ledger.reserve(
                hold(
                    *self.limits[person, model],
                    person=person,
                    request_id=request_id,
                    model=model,
                    aliases=MODELS[model],
                    input_tokens=chance.randrange(300),
                    wanted=wanted,
                    greatest=1_000,
                    images=chance.random() < 0.05,
                    patience_s=chance.choice((0, 2, 30)),
                )
            )
        )
        if chance.random() < 0.03:
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            task.cancel()
        try:
            granted = await task
        except asyncio.CancelledError:
            outcomes["withdrawn"] += 1
            self.withdrawn[request_id] = person, model
            return None
        except RefusalError as refusal:
            outcomes[f"refused: {refusal.code}"] += 1
            await asyncio.sleep(0)
            return None
        outcomes["granted"] += 1
        call = Call(request_id, person, model, granted.at_us, granted.position, granted.held)
        self.events.append((granted.position, "reserved", call, granted))
        return call

    async def _resolve(self, call: Call) -> None:
        chance, story = self._chance, self._story
        kind = chance.choices(("exact", "voided", "unconfirmed", "overrun"), (800, 110, 85, 5))[0]
        story.outcomes[kind] += 1
        if kind == "voided":
            told = await self._ledger.resolved(void(call.id))
            charged = Amounts()
        else:
            charged = call.held
            if kind == "exact":
                charged = _share(call.held, chance.random())
            elif kind == "overrun":
                charged = _share(call.held, 1.5)
            is_known = kind != "unconfirmed"
            story.bill(
                call, charged.cost_nano if is_known else chance.randint(0, charged.cost_nano)
            )
            flags = frozenset[Any]() if is_known else frozenset[Any]({"unconfirmed"})
            if not is_known:
                story.flagged.add(number_of(call.id))
            told = await self._ledger.resolved(settlement(call.id, charged, flags=flags))
        state = "voided" if kind == "voided" else "settled"
        assert told is not None
        assert (told.is_first, told.state, told.charged) == (True, state, charged)
        self.events.append((told.position, "resolved", call, (state, charged)))
        if state == "settled":
            story.ended.append(call)
        if chance.random() < 0.03:  # M6: again, or the other way round
            again = await self._ledger.resolved(
                chance.choice((void(call.id), settlement(call.id, Amounts(cost_nano=1))))
            )
            assert again is not None
            assert (again.is_first, again.state, again.charged) == (False, state, charged)
            story.outcomes["repeated"] += 1

    async def _correct(self, call: Call) -> None:
        true = _share(call.held, self._chance.random())
        posted = await self._ledger.correct(call.id, true, actor=OPERATOR, reason="the bill")
        self.events.append(
            (
                posted.position,
                "corrected",
                call,
                (posted.added_cost_nano, posted.added_input_tokens, posted.added_output_tokens),
            )
        )
        corrected, now = self._story.corrected, (posted.position, true.cost_nano)
        corrected[call.id] = max(corrected.get(call.id, now), now)
        self._story.outcomes["corrected"] += 1

    async def _reset(self) -> None:
        person, chance = self._chance.choice(PEOPLE), self._chance
        scope = person.scope(chance.choice(("key", "member", "group")))
        with_total = chance.random() < 0.7

        def reset(transaction: Transaction) -> int:
            self._ledger.reset_in(transaction, [scope], OPERATOR, with_total=with_total)
            return int(
                transaction.cursor.execute("SELECT max(position) FROM entries").fetchone()[0]
            )

        position = await self._writer.transact(reset)
        self.events.append((position, "reset", scope, with_total))
        self._story.outcomes["reset"] += 1

    async def _let_time_pass(self) -> None:
        """Within the writer's turn, so that no look at the clocks falls between two of them."""
        clock = self._story.clock
        seconds, weights = tuple(STEPS), tuple(STEPS.values())
        while not self._is_ending:
            step = self._chance.choices(seconds, weights)[0]
            await self._writer.transact(lambda _, step=step: clock.advance(step))  # type: ignore[misc]
            self._story.outcomes["steps of the clock"] += 1


class Audit:
    """The model of all limits, over all rounds."""

    def __init__(self) -> None:
        memo = SpanMemo()
        self.running: dict[str, Call] = {}
        self.tallies: dict[tuple[Scope, str], Tally] = {}
        self._by_course: dict[tuple[Person, str], list[Tally]] = {}
        for course, limits in _limits().items():
            self._by_course[course] = [
                self.tallies.setdefault((limit.scope, str(limit.limit)), Tally(limit, memo))
                for limit in limits
            ]
        self._last = 0

    def go_through(self, events: list[Event]) -> None:
        """In the order of positions."""
        for position, kind, what, more in sorted(events, key=lambda event: event[0]):
            assert position > self._last, "two changes at one position"
            self._last = position
            if kind == "reset":
                self._reset(position, what, with_total=more)
                continue
            call: Call = what
            tallies = self._by_course[call.person, call.model]
            before = [(0, 0) if kind == "reserved" else tally.counts(call) for tally in tallies]
            if kind == "reserved":
                self.running[call.id] = call
            elif kind == "resolved":
                state, charged = more
                call.close(state, charged, position)
                del self.running[call.id]
            else:
                cost, inputs, outputs = (a + b for a, b in zip(call.added, more, strict=True))
                call.added = (cost, inputs, outputs)
            for tally, counted in zip(tallies, before, strict=True):
                tally.move(call, counted)
            if kind == "reserved" and more is not None:
                self._compare(call, more, tallies)

    def _compare(self, call: Call, granted: Granted, tallies: list[Tally]) -> None:
        told = dict(zip(granted.limits, granted.readings, strict=True))
        for tally in tallies:
            limit = tally.limit
            used, held = tally.reading(call.at_us)
            if limit in told:
                assert told[limit][:2] == (used, held), f"{call.id} at {limit.limit}"
            if call.held.of(limit.limit.metric):
                assert used + held <= limit.limit.amount, f"M1: {call.id} at {limit.limit}"

    def _reset(self, position: int, scope: Scope, *, with_total: bool) -> None:
        for (of, _), tally in self.tallies.items():
            if of != scope or (tally.limit.limit.window == "total" and not with_total):
                continue
            tally.reset(
                position,
                [
                    call
                    for call in self.running.values()
                    if tally in self._by_course[call.person, call.model]
                ],
            )


def _limits() -> dict[tuple[Person, str], list[LimitInForce]]:
    """Those that a call of each person for each model takes from."""
    found: dict[tuple[Person, str], list[LimitInForce]] = {}
    for person in PEOPLE:
        every = [in_force(text, kind, person, ZONE) for kind, text in LIMITS]
        for model, aliases in MODELS.items():
            found[person, model] = [
                one for one in every if one.limit.selector.covers(model, aliases, "chat")
            ]
    return found


def _share(amounts: Amounts, share: float) -> Amounts:
    return Amounts(
        cost_nano=int(amounts.cost_nano * share),
        input_tokens=int(amounts.input_tokens * share),
        output_tokens=int(amounts.output_tokens * share),
        images=amounts.images,
    )
