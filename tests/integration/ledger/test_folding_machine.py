"""
The ledger whose old rows are folded, against a dictionary that folds nothing (P9, M8).

The machine is that of `test_state_machine`, with all its checks after each step: whatever is done between two foldings,
every counter, old or summed afresh, stands as if every row were still there, and the replay finds no difference.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.integration.ledger.test_state_machine import KINDS, MODELS, LedgerMachine
from tests.support.ledger_kit import ANNA, BEN, GROUP, Person, settlement
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger import folding
from tuckshop.ledger.closings import DAY_US

LONG_KINDS: tuple[tuple[str, str], ...] = (
    ("key", "{} requests/week"),
    ("member", "${} total on gpt-4o"),
    ("member", "{} requests/year on text-*"),
    ("member", "${}/week"),
    ("group", "${} total on endpoint:chat"),
    ("workspace", "${}/year on gpt-4o-mini"),
    ("key", "{} tokens total on gpt-4o-2024-08-06"),
)
ALL_KINDS = (*KINDS, *LONG_KINDS)


class FoldingMachine(LedgerMachine):
    """What is old enough is folded at any time, a few rows at once."""

    KINDS = ALL_KINDS

    @initialize()
    def keep_rows_as_short_as_can_be(self) -> None:
        self.desk.change(
            lambda transaction: transaction.cursor.execute("UPDATE groups SET log_days = 70")
        )

    @rule(kind=st.sampled_from(range(len(ALL_KINDS) - len(LONG_KINDS), len(ALL_KINDS))))
    def add_a_long_limit(self, kind: int) -> None:
        self.set_limit(kind, "1" if "$" in self.KINDS[kind][1] else "5000")

    @rule(person=st.sampled_from([ANNA, BEN]), model=st.sampled_from(MODELS), share=st.floats(0, 1))
    def call_to_the_end(self, person: Person, model: str, share: float) -> None:
        self.reserve(person, model, 100, 50, 0, 2, fail=False)
        for id_ in self.open_calls():
            call = self.calls[id_]
            cost, tokens = int(call.held.cost_nano * share), int(call.held.input_tokens * share)
            charged = Amounts(cost_nano=cost, input_tokens=tokens, images=call.held.images)
            self.desk.one(settlement(id_, charged))
            self.close(call, "settled", charged)

    @rule(most=st.sampled_from([None, 50_000, 300_000]))
    def carry_over(self, most: int | None) -> None:
        super().carry_over(most)
        since_us = None if self.carry is None else self.carry.since_us
        self.desk.change(
            lambda transaction: transaction.cursor.execute(
                "UPDATE groups SET carry_since = ?", (since_us,)
            )
        )

    @rule(
        days=st.sampled_from([0, 64, 75, 100]),
        most=st.sampled_from([1, 3, 200]),
        fail=st.sampled_from([False, False, True]),
    )
    def let_days_pass_and_fold(self, days: int, most: int, fail: bool) -> None:
        self.desk.clock.advance(days * 86_400)
        for _ in range(folding.CLOSINGS_AFTER if days else 0):
            self.desk.clock.advance(86_400)
            self.desk.do()
        before = self.ids()

        def fold(transaction: Any) -> int:
            done = folding.fold(transaction, workspace_id="wsp_default", group_id=GROUP, most=most)
            if fail:
                raise InterruptedError
            return done

        try:
            done = self.desk.change(fold)
        except InterruptedError:
            done = 0
        gone = before - self.ids()
        assert len(gone) == done <= most
        now_us = self.desk.clock.now_us()
        for id_ in gone:
            call = self.calls[id_]
            assert call.state != "open"
            assert now_us - call.at_us > 70 * DAY_US
        self.folded |= gone

    def ids(self) -> set[str]:
        return {id_ for (id_,) in self.desk.rows("SELECT id FROM requests")}


TestFolding = FoldingMachine.TestCase
TestFolding.settings = settings(
    max_examples=10,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class _Drawn:
    """`st.DataObject` for a lottery."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def draw(self, strategy: Any) -> Any:
        return self._chance.choice(list(strategy.elements))


def live(seed: int, steps: int = 60) -> int:
    """A long life of one ledger, most of whose rows are folded; how many were."""
    chance = random.Random(seed)
    machine = FoldingMachine()
    machine.keep_rows_as_short_as_can_be()
    people, drawn = (ANNA, BEN), _Drawn(chance)
    for kind in chance.sample(range(len(ALL_KINDS)), 4):
        machine.set_limit(kind, "1" if "$" in ALL_KINDS[kind][1] else "5000")
    steps_of: tuple[tuple[int, Callable[[], object]], ...] = (
        (8, lambda: machine.call_to_the_end(chance.choice(people), chance.choice(MODELS), chance.random())),
        (5, lambda: machine.let_days_pass_and_fold(chance.choice((0, 25, 64, 75)), chance.choice((2, 5, 200)), False)),
        (2, lambda: machine.reset(
            chance.choice(("key", "member", "group")), chance.choice(people), chance.random() < 0.5
        )),
        (2, lambda: machine.add_a_long_limit(chance.randrange(len(KINDS), len(ALL_KINDS)))),
        (1, lambda: machine.grant(chance.choice(people), 100_000, None)),
        (1, lambda: machine.carry_over(chance.choice((None, 50_000, 300_000)))),
        (2, lambda: machine.let_time_pass(chance.choice((61, 3_600, 86_400)))),
        (1, machine.sum_everything_afresh),
        (1, machine.forget_kinds),
        (1, machine.crash_and_reopen),
        (2, lambda: any(c.state == "settled" and i not in machine.folded for i, c in machine.calls.items())
            and machine.correct(drawn, chance.randrange(400_000), chance.randrange(500))),
    )  # fmt: skip
    try:
        for _ in range(steps):
            chance.choices([do for _, do in steps_of], [weight for weight, _ in steps_of])[0]()
            machine.every_limit_stands_as_the_model_says()
            machine.grants_gave_what_the_model_says()
            machine.the_replay_agrees()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    finally:
        machine.teardown()
    return len(machine.folded)


def test_long_lives_of_which_most_is_folded() -> None:
    """P9, M8: the machine above seldom folds many rows; here most are."""
    first = random.SystemRandom().randrange(2**32)
    assert sum(live(seed) for seed in range(first, first + 6)) > 60
