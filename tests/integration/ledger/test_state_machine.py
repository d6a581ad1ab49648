"""
The ledger against a dictionary: whatever is done in whatever order, both say the same, after each step.

The model keeps every call in a list and counts by looking at all of them. Checked after each step: every limit stands
as the model says (M1, M2, M6), memory and database agree, and the replay finds no difference (M8).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.ledger_kit import ANNA, BEN, Desk, Person, hold, in_force, settlement, void
from tests.support.ledger_model import Account, Call, Spent
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.errors import RefusalError
from tuckshop.domain.limits import Rolling
from tuckshop.domain.reservation import Amounts, CarryOver, Granted, LimitInForce, Scope
from tuckshop.domain.windows import is_live, span_at, subwindow_start
from tuckshop.ledger import corrections, grants, resets
from tuckshop.ledger.replay import peak_of
from tuckshop.ledger.verify import verify

pytestmark = pytest.mark.long

MODELS = ("gpt-4o-mini", "gpt-4o-2024-08-06", "text-embedding-3-small")
ALIASES = {"gpt-4o-2024-08-06": ("gpt-4o",)}
# Kind of scope and kind of limit; amounts change as the machine runs.
KINDS: tuple[tuple[str, str], ...] = (
    ("key", "{} requests/minute"),
    ("member", "${}/day"),
    ("member", "${}/month on gpt-4o*"),
    ("member", "{} tokens/minute"),
    ("member", "{} requests/5 hours on gpt-4o"),
    ("member", "${} total"),
    ("group", "${}/month on gpt-4o*"),
    ("group", "{} concurrent requests"),
    ("workspace", "{} output tokens/day"),
    ("workspace", "{} images/hour"),
)
SMALL = {"$": ("0.0001", "0.0002", "0.0005", "0"), "": ("500", "3", "40", "0", "2000")}


class LedgerMachine(RuleBasedStateMachine):
    """Rules are what staff, clients, upstreams and power cuts do."""

    KINDS = KINDS

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-", dir=_fast_folder()))
        self.desk = Desk(self.folder)
        self.calls: dict[str, Call] = {}
        self.limits: dict[int, str] = {}
        self.resets: list[tuple[int, int, Scope, bool]] = []  # order, at, scope, with total
        self.order = 0
        self.carry: CarryOver | None = None
        self.folded: set[str] = set()  # calls that have no row any more
        self.accounts = {person.member: Account() for person in (ANNA, BEN)}

    def teardown(self) -> None:
        self.desk.close()
        shutil.rmtree(self.folder)

    # ── what is done ──────────────────────────────────────────────────────────────────────────────────────────

    @initialize(kinds=st.sets(st.integers(0, len(KINDS) - 1), max_size=5))
    def begin_with_some_limits(self, kinds: set[int]) -> None:
        for kind in sorted(kinds):
            self.set_limit(kind, "1" if "$" in self.KINDS[kind][1] else "50")

    @rule(kind=st.integers(0, len(KINDS) - 1), pick=st.integers(0, 3))
    def add_or_change_a_limit(self, kind: int, pick: int) -> None:
        amounts = SMALL["$" if "$" in self.KINDS[kind][1] else ""]
        self.set_limit(kind, amounts[pick % len(amounts)])

    @precondition(lambda self: self.limits)
    @rule(data=st.data())
    def drop_a_kind(self, data: st.DataObject) -> None:
        del self.limits[data.draw(st.sampled_from(sorted(self.limits)))]

    @rule()
    def forget_kinds(self) -> None:
        self.desk.change(
            lambda transaction: resets.forget_kinds(
                self.desk.engine, transaction, workspace_id="wsp_default"
            )
        )

    @rule(
        person=st.sampled_from([ANNA, BEN]),
        model=st.sampled_from(MODELS),
        input_tokens=st.integers(0, 300),
        wanted=st.none() | st.integers(1, 400),
        images=st.integers(0, 1),
        count=st.integers(1, 3),
        fail=st.sampled_from([False, False, False, True]),
    )
    def reserve(
        self,
        person: Person,
        model: str,
        input_tokens: int,
        wanted: int | None,
        images: int,
        count: int,
        fail: bool,
    ) -> None:
        limits = self.limits_for(person, model)
        calls = [
            hold(
                *limits,
                person=person,
                model=model,
                aliases=ALIASES.get(model, ()),
                input_tokens=input_tokens,
                wanted=wanted,
                greatest=1000,
                images=images,
            )
            for _ in range(count)
        ]

        answers = self.desk.do(*calls, fail=fail)

        for answer in answers:
            if not isinstance(answer, Granted):
                # M15: a refusal leaves nothing; the invariants below see to it.
                assert isinstance(answer, RefusalError), answer
                assert limits
                continue
            assert answer.cap >= calls[0].cap.least
            self.order += 1
            self.calls[answer.request_id] = Call(
                answer.request_id, person, model, answer.at_us, self.order, answer.held
            )
            before = {limit: self.look(limit, without=answer.request_id) for limit in limits}
            for limit in limits:
                taken = answer.held.of(limit.limit.metric)
                lift = before[limit]
                assert not taken or sum(self.modelled(limit)) <= limit.limit.amount + lift, (
                    f"M1: {limit.limit}"
                )
                self.look(limit, without=answer.request_id, is_kept=True)

    @precondition(lambda self: self.open_calls())
    @rule(data=st.data(), share=st.floats(0, 1.2), again=st.booleans())
    def settle(self, data: st.DataObject, share: float, again: bool) -> None:
        call = self.calls[data.draw(st.sampled_from(self.open_calls()))]
        charged = Amounts(
            cost_nano=int(call.held.cost_nano * share),
            input_tokens=int(call.held.input_tokens * share),
            output_tokens=int(call.held.output_tokens * share),
            images=call.held.images,
        )
        answer = self.desk.one(settlement(call.id, charged))
        assert answer.is_first
        self.close(call, "settled", charged)
        if again:
            repeated = self.desk.one(settlement(call.id, Amounts(cost_nano=1)))
            assert (repeated.is_first, repeated.charged) == (False, charged)
            assert self.desk.one(void(call.id)).state == "settled"

    @precondition(lambda self: self.open_calls())
    @rule(data=st.data(), fail=st.sampled_from([False, False, True]))
    def give_back(self, data: st.DataObject, fail: bool) -> None:
        call = self.calls[data.draw(st.sampled_from(self.open_calls()))]
        self.desk.do(void(call.id), fail=fail)
        if not fail:
            self.close(call, "voided", Amounts())
            assert not self.desk.one(settlement(call.id, call.held)).is_first

    @precondition(lambda self: any(call.state == "settled" for call in self.calls.values()))
    @rule(data=st.data(), cost=st.integers(0, 400_000), tokens=st.integers(0, 500))
    def correct(self, data: st.DataObject, cost: int, tokens: int) -> None:
        settled = sorted(
            id_
            for id_, call in self.calls.items()
            if call.state == "settled" and id_ not in self.folded
        )
        if not settled:
            return
        call = self.calls[data.draw(st.sampled_from(settled))]
        true = Amounts(cost_nano=cost, input_tokens=tokens, output_tokens=tokens // 2)
        self.desk.change(
            lambda transaction: corrections.correct(
                self.desk.engine,
                transaction,
                workspace_id="wsp_default",
                request_id=call.id,
                true=true,
                actor=OPERATOR,
                reason="bill",
            )
        )
        call.added = (
            cost - call.charged.cost_nano,
            tokens - call.charged.input_tokens,
            tokens // 2 - call.charged.output_tokens,
        )

    @rule(
        kind=st.sampled_from(["key", "member", "group"]),
        person=st.sampled_from([ANNA, BEN]),
        with_total=st.booleans(),
    )
    def reset(self, kind: str, person: Person, with_total: bool) -> None:
        scope = person.scope(kind)
        if kind == "member":
            self.accounts[person.member].before_reset(
                self.desk.clock.now_us(), self.spent_of(person), with_total=with_total
            )
        self.order += 1
        self.resets.append((self.order, self.desk.clock.now_us(), scope, with_total))
        self.desk.change(
            lambda transaction: resets.reset(
                self.desk.engine,
                transaction,
                workspace_id="wsp_default",
                scopes=[scope],
                actor=OPERATOR,
                with_total=with_total,
            )
        )

    @rule(
        person=st.sampled_from([ANNA, BEN]),
        amount=st.sampled_from([30_000, 100_000, 400_000]),
        lasts_s=st.sampled_from([None, 3_600, 5 * 3_600, 86_400, 41 * 86_400]),
    )
    def grant(self, person: Person, amount: int, lasts_s: int | None) -> None:
        now_us = self.desk.clock.now_us()
        until_us = None if lasts_s is None else now_us + lasts_s * 1_000_000
        (made,) = self.desk.change(
            lambda transaction: grants.grant(
                self.desk.engine,
                transaction,
                workspace_id="wsp_default",
                member_ids=[person.member],
                amount_nano=amount,
                until_us=until_us,
                actor=OPERATOR,
                reason=None,
            )
        )
        self.accounts[person.member].grant(made, amount, now_us, until_us)

    @rule(most=st.sampled_from([None, 50_000, 300_000]))
    def carry_over(self, most: int | None) -> None:
        since_us = self.desk.clock.now_us() if self.carry is None else self.carry.since_us
        self.carry = None if most is None else CarryOver(most, since_us)

    @rule(seconds=st.sampled_from([0.3, 1, 7, 59, 61, 3_600, 5 * 3_600, 86_400, 40 * 86_400]))
    def let_time_pass(self, seconds: float) -> None:
        self.desk.clock.advance(seconds)

    @rule()
    def crash_and_reopen(self) -> None:
        self.desk.reopen()
        for call in self.calls.values():
            if call.state == "open":
                self.close(call, "settled", call.held)  # R1

    @rule()
    def lose_the_memory(self) -> None:
        self.desk.engine.books.drop()

    @rule()
    def sum_everything_afresh(self) -> None:
        self.desk.change(lambda transaction: transaction.cursor.execute("DELETE FROM counters"))
        self.desk.engine.books.drop()

    # ── what must hold ────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def every_limit_stands_as_the_model_says(self) -> None:
        limits = [limit for person in (ANNA, BEN) for limit in self.limits_of(person)]
        states = self.desk.change(lambda t: self.desk.engine.states(t, limits))
        for limit, state in zip(limits, states, strict=True):
            assert (state.used, state.reserved) == self.modelled(limit), str(limit.limit)
            assert state.lift == self.look(limit), str(limit.limit)

    @invariant()
    def grants_gave_what_the_model_says(self) -> None:
        for member, account in self.accounts.items():
            rows = self.desk.rows(
                'SELECT grant_id, selector, "window", sum(cost) FROM entries'
                " WHERE kind = 'grant_use' AND scope_id = ? GROUP BY 1, 2, 3",
                member,
            )
            assert {(id_, (s, w)): cost for id_, s, w, cost in rows} == account.gave()

    @invariant()
    def the_replay_agrees(self) -> None:
        """M8, from the last closing and from the beginning."""
        for full in (True, False):
            report = verify(self.desk.session.driver, full=full)
            assert [str(difference) for difference in report.differences] == []

    @invariant()
    def open_rows_are_the_open_calls(self) -> None:
        rows = self.desk.rows("SELECT id FROM requests WHERE state = 'reserved'")
        assert sorted(id_ for (id_,) in rows) == self.open_calls()

    # ── the model ─────────────────────────────────────────────────────────────────────────────────────────────

    def set_limit(self, kind: int, amount: str) -> None:
        self.limits[kind] = amount

    def limits_of(self, person: Person) -> list[LimitInForce]:
        found = [
            in_force(self.KINDS[kind][1].format(amount), self.KINDS[kind][0], person)
            for kind, amount in sorted(self.limits.items())
        ]
        return [
            replace(limit, carry=self.carry)
            if limit.is_liftable and limit.limit.window != "total"
            else limit
            for limit in found
        ]

    def look(self, limit: LimitInForce, *, without: str = "", is_kept: bool = False) -> int:
        """How far *limit* may be passed, as the model says; of what it was before the call *without*."""
        if not limit.is_liftable:
            return 0
        now_us = self.desk.clock.now_us()

        def spent(start_us: int, end_us: int) -> int:
            return sum(self.counted(limit, start_us, end_us, without=without))

        return self.accounts[limit.scope.id].look(limit, now_us, spent, is_kept=is_kept)

    def spent_of(self, person: Person) -> Spent:
        """What a member has used of a kind in a window."""

        def spent(kind: tuple[str, str], start_us: int, end_us: int) -> int:
            selector, window = kind
            text = f"$0/{window}" if window != "total" else "$0 total"
            limit = in_force(f"{text} on {selector}" if selector else text, "member", person)
            used, _ = self.counted(limit, start_us, end_us)
            return used

        return spent

    def limits_for(self, person: Person, model: str) -> list[LimitInForce]:
        aliases = ALIASES.get(model, ())
        return [
            limit
            for limit in self.limits_of(person)
            if limit.limit.selector.covers(model, aliases, "chat")
        ]

    def open_calls(self) -> list[str]:
        return sorted(id_ for id_, call in self.calls.items() if call.state == "open")

    def close(self, call: Call, state: str, charged: Amounts) -> None:
        self.order += 1
        call.close(state, charged, self.order)

    def modelled(self, limit: LimitInForce) -> tuple[int, int]:
        """(used, held) of *limit* now, by looking at every call there ever was."""
        now_us = self.desk.clock.now_us()
        window = limit.limit.window
        return self._counted(limit, lambda at_us: _is_in_window(window, at_us, now_us), 2**63)

    def counted(
        self, limit: LimitInForce, start_us: int, end_us: int, *, without: str = ""
    ) -> tuple[int, int]:
        """The same of any calendar window, which may be over."""
        return self._counted(limit, lambda at_us: start_us <= at_us < end_us, end_us, without)

    def _counted(
        self, limit: LimitInForce, is_in: Callable[[int], bool], end_us: int, without: str = ""
    ) -> tuple[int, int]:
        window = limit.limit.window
        last_reset = max(
            (
                order
                for order, at_us, scope, with_total in self.resets
                if scope == limit.scope and (with_total or window != "total") and at_us < end_us
            ),
            default=0,
        )
        used = held = 0
        for call in self.calls.values():
            if call.id == without or call.person.scope(limit.scope.kind) != limit.scope:
                continue
            if not limit.limit.selector.covers(call.model, ALIASES.get(call.model, ()), "chat"):
                continue
            if not is_in(call.at_us):
                continue
            if call.closed_order is not None and call.closed_order < last_reset:
                continue
            more_used, more_held = call.counts(limit.limit.metric)
            used, held = used + more_used, held + more_held
        return used, held


def _is_in_window(window: Any, at_us: int, now_us: int) -> bool:
    if isinstance(window, Rolling):
        return is_live(window, subwindow_start(window, at_us), now_us)
    if window == "now":
        return True
    span = span_at(window, now_us, in_force("$1 total").zone)
    return span.start_us <= at_us and (span.end_us is None or at_us < span.end_us)


def _fast_folder() -> str | None:
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() else None


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_the_peak_of_a_limit_is_told_from_the_rows(tmp_path: Path) -> None:
    """M1 can be checked at every position of a ledger that nobody watched."""
    desk = Desk(tmp_path)
    limit = in_force("$0.0005/day")
    first = desk.one(hold(limit))
    second = desk.one(hold(limit))
    desk.one(settlement(first.request_id, Amounts(cost_nano=10)))
    desk.one(void(second.request_id))
    desk.one(hold(limit))

    assert peak_of(desk.session.driver.cursor(), "wsp_default", limit) == 2 * first.held.cost_nano
    desk.close()
