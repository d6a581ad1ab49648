"""
What a member's money limits may be passed by, in memory: read where it is needed, written with the call it admits.

`lifting` has the arithmetic. Like the counters this is only a copy, which can be dropped and read again at any time.
Nobody else pays for it: calls of members without grants, in groups that carry nothing over, never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tuckshop.domain.ids import new_id
from tuckshop.domain.limits import LimitKind, Metric
from tuckshop.domain.reservation import LimitInForce
from tuckshop.domain.windows import Span, ZoneHistory, span_at
from tuckshop.ledger import store
from tuckshop.ledger.counters import Counters
from tuckshop.ledger.lifting import (
    ENDLESS,
    Account,
    GrantLine,
    Mark,
    MoneyKind,
    Use,
    carried_on,
    ground_of,
    in_order,
    owed_by,
    spread,
)
from tuckshop.ledger.sums import Want, sum_window
from tuckshop.ledger.tallies import FOREVER, ScopeKey, Tally, calendar_of, kind_of
from tuckshop.storage.transaction import Transaction

ACCOUNTS_MAX: Final = 2_500  # in memory; beyond it all are forgotten
_SYSTEM: Final = "system"


class Lift(NamedTuple):
    """How far one limit may go above its amount, and what is to be written once a call is admitted by it."""

    scope_key: ScopeKey
    kind: MoneyKind
    start_us: int  # of the window that runs
    end_us: int
    amount: int  # above the limit's
    lefts: tuple[tuple[str, int], ...]  # by grant, what is left of those that have not ended
    uses: tuple[Use, ...]
    carry: int | None  # None: nothing to write
    ground: int | None  # likewise


class Lifts:
    """Accounts of members with grants, or in groups that carry money over."""

    def __init__(self, counters: Counters, flush: Callable[[], None]) -> None:
        """*flush* writes what the books have not written yet."""
        self._counters = counters
        self._flush = flush
        self._accounts: dict[ScopeKey, Account] = {}
        self._ends: dict[ScopeKey, int] | None = None  # when the last grant of a member ends
        self._transaction: Transaction | None = None

    @property
    def transaction(self) -> Transaction:
        """The one that is open."""
        assert self._transaction is not None
        return self._transaction

    def begin(self, transaction: Transaction) -> None:
        """Work in *transaction* from now on."""
        self._transaction = transaction
        if len(self._accounts) > ACCOUNTS_MAX:
            self._accounts.clear()

    def drop(self) -> None:
        """Read everything again."""
        self._accounts.clear()
        self._ends = None

    # ── finding ───────────────────────────────────────────────────────────────────────────────────────────────

    def concern(self, limit: LimitInForce, workspace_id: str) -> bool:
        """May *limit* be passed at all, now or later?"""
        return limit.is_liftable and (
            limit.carry is not None
            or self._is_granted((workspace_id, limit.scope.kind, limit.scope.id))
        )

    def look(self, limit: LimitInForce, tally: Tally) -> Lift:
        """How far *limit* may go, which counts in *tally*, whose `current` is its counter for now."""
        scope_key = tally.scope_key
        account = self.account(scope_key)
        kind: MoneyKind = (tally.kind.selector, tally.kind.window)
        counter = tally.current
        assert counter is not None
        now_us, start_us = self.transaction.now_us, counter.start_us
        spent = counter.used + counter.held
        left = {grant.id: account.left(grant, kind) for grant in account.grants}
        uses: list[Use] = []

        def fix(owing: list[GrantLine], excess: int, in_us: int) -> int:
            total = 0
            for grant, part in spread(excess, owing, left):
                left[grant.id] -= part
                uses.append(Use(grant.id, in_us, part))
                total += part
            return total

        mark = former = account.grounds.get(kind)
        if former is not None and former.start_us != start_us:
            mark = None
            above = self._spent(tally, former.start_us, former.end_us) - former.amount
            fix(owed_by(account.grants, former), above, former.start_us)
        carried, is_new = self._carried(account, limit, tally, former, start_us)
        ended: list[GrantLine] = []
        if mark is not None:
            ended = owed_by(account.grants, mark, now_us=now_us)
        given = fix(ended, spent - mark.amount, start_us) if mark is not None else 0
        before = None if mark is None else mark.amount
        ground = ground_of(limit.limit.amount + carried, spent, before, given)
        active = [grant for grant in account.grants if grant.until_us > now_us]
        available = sum(left[grant.id] for grant in active)
        for grant, part in spread(ground.above, active, left):
            left[grant.id] -= part
        is_as_written = (
            mark is not None and mark.amount == ground.amount and mark.at_us <= now_us and not ended
        )
        return Lift(
            scope_key,
            kind,
            start_us,
            counter.end_us,
            ground.amount + available - limit.limit.amount,
            tuple((grant.id, left[grant.id]) for grant in active),
            tuple(uses),
            carried if is_new and carried else None,
            None if is_as_written else ground.amount,
        )

    def account(self, scope_key: ScopeKey) -> Account:
        """What the entries say of a member."""
        account = self._accounts.get(scope_key)
        if account is None:
            account = self._accounts[scope_key] = self._read(scope_key)
        return account

    def _is_granted(self, scope_key: ScopeKey) -> bool:
        if self._ends is None:
            found = self.transaction.cursor.execute(
                store.GRANTED_MEMBERS, (self.transaction.now_us,)
            ).fetchall()
            self._ends = {
                (workspace_id, "member", id_): end_us for workspace_id, id_, end_us in found
            }
        return self._ends.get(scope_key, 0) > self.transaction.now_us

    def _read(self, scope_key: ScopeKey) -> Account:
        execute = self.transaction.cursor.execute
        account = Account()
        for values in execute(store.GRANTS_OF_SCOPE, scope_key).fetchall():
            id_, at_us, until_us, amount, reason = values
            end_us = ENDLESS if until_us is None else until_us
            account.grants.append(GrantLine(id_, at_us, end_us, amount, reason))
        account.grants = in_order(account.grants)
        for grant_id, selector, window, taken in execute(store.GRANT_USES, scope_key).fetchall():
            account.taken[grant_id, (selector, window)] = taken
        for what, selector, window, *mark, _ in execute(store.LAST_MARKS, scope_key).fetchall():
            marks = account.grounds if what == "ground" else account.carried
            start_us, end_us, amount, at_us = mark
            marks[selector, window] = Mark(
                start_us, FOREVER if end_us is None else end_us, amount, at_us
            )
        return account

    # ── what was carried over ─────────────────────────────────────────────────────────────────────────────────

    def _carried(
        self,
        account: Account,
        limit: LimitInForce,
        tally: Tally,
        former: Mark | None,
        start_us: int,
    ) -> tuple[int, bool]:
        """What was carried into the window that runs, and whether that is found out only now."""
        carry = limit.carry
        if carry is None:
            return 0, False
        known = account.carried.get((tally.kind.selector, tally.kind.window))
        if known is not None and known.start_us == start_us:
            return known.amount, False
        if former is not None and former.start_us == start_us:
            return 0, False  # it was met before, and took nothing over
        amount, zone = limit.limit.amount, limit.zone
        first = self._span(tally, max(carry.since_us, self._born_us(tally.scope_key)), zone)
        if first.start_us >= start_us:
            return 0, True
        if former is not None and first.start_us <= former.start_us < start_us:
            met = self._span(tally, former.start_us, zone)
            # No call may have come since the amount was lowered, to 0 maybe: what that took away is not left (M1).
            into = known.amount if known is not None and known.start_us == former.start_us else 0
            ground = min(former.amount, amount + into)
            left = ground - self._spent(tally, former.start_us, former.end_us)
        else:
            assert first.end_us is not None
            met, left = first, amount - self._spent(tally, first.start_us, first.end_us)
        empty = self._between(tally, met, start_us, zone)
        return carried_on(left, carry.most, amount, empty), True

    def _born_us(self, scope_key: ScopeKey) -> int:
        workspace_id, _, member_id = scope_key
        row = self.transaction.cursor.execute(store.MEMBER_BORN, (workspace_id, member_id))
        found = row.fetchone()
        return 0 if found is None else int(found[0])

    def _spent(self, tally: Tally, start_us: int, end_us: int) -> int:
        """Used and held of a window that is over."""
        return sum(self._standing(tally.scope_key, tally.kind, start_us, end_us))

    def _standing(
        self, scope_key: ScopeKey, kind: LimitKind, start_us: int, end_us: int
    ) -> tuple[int, int]:
        """(used, held) of a window: of its counter where there is one, else of the rows."""
        tally = self._counters.scope(scope_key).tallies.get(kind)
        counter = None if tally is None else tally.counters.get(start_us)
        if counter is not None:
            return counter.used, counter.held
        self._flush()  # so that the sum sees this batch's own rows
        want = Want(kind, start_us, end_us, start_us)
        return sum_window(self.transaction.cursor, scope_key, want)

    def _between(self, tally: Tally, met: Span, start_us: int, zone: ZoneHistory) -> Iterator[Span]:
        """The windows after *met* that lie before the one which begins at *start_us*."""
        span = met
        while span.end_us is not None and span.end_us < start_us:
            span = self._span(tally, span.end_us, zone)
            yield span

    def _span(self, tally: Tally, at_us: int, zone: ZoneHistory) -> Span:
        calendar = calendar_of(tally.kind.window)
        assert calendar is not None
        return span_at(calendar, at_us, zone)

    # ── changing ──────────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, lift: Lift) -> None:
        """A call is admitted by *lift*: write what it found."""
        account = self.account(lift.scope_key)
        for use in lift.uses:
            self.use(lift.scope_key, lift.kind, use)
        for what, marks, amount in (
            ("carry", account.carried, lift.carry),
            ("ground", account.grounds, lift.ground),
        ):
            if amount is not None:
                mark = Mark(lift.start_us, lift.end_us, amount, self.transaction.now_us)
                self._write(what, lift.scope_key, lift.kind, mark.start_us, amount, mark.end_us)
                marks[lift.kind] = mark

    def use(self, scope_key: ScopeKey, kind: MoneyKind, use: Use) -> None:
        """Fix what a grant gave."""
        taken = self.account(scope_key).taken
        self._write("grant_use", scope_key, kind, use.start_us, use.amount, grant_id=use.grant_id)
        taken[use.grant_id, kind] = taken.get((use.grant_id, kind), 0) + use.amount

    def settle_before_reset(self, scope_key: ScopeKey, *, with_total: bool) -> None:
        """The member's running windows are about to start afresh: fix what grants gave for what was used there."""
        account = self.account(scope_key)
        for kind, mark in account.grounds.items():
            selector, window = kind
            if mark.end_us <= self.transaction.now_us or (window == "total" and not with_total):
                continue
            owing = owed_by(account.grants, mark)
            if not owing:
                continue
            counted = kind_of(Metric.MONEY, selector, window)
            # What is held goes on to count, so it is not fixed yet.
            used, _ = self._standing(scope_key, counted, mark.start_us, mark.end_us)
            left = {grant.id: account.left(grant, kind) for grant in owing}
            for grant, part in list(spread(used - mark.amount, owing, left)):
                self.use(scope_key, kind, Use(grant.id, mark.start_us, part))

    def forget(self, scope_key: ScopeKey) -> None:
        """A member got a grant: read its account again, and look up again who has any."""
        self._accounts.pop(scope_key, None)
        self._ends = None
        self._counters.generation += 1

    def _write(
        self,
        what: str,
        scope_key: ScopeKey,
        kind: MoneyKind,
        start_us: int,
        amount: int,
        end_us: int | None = None,
        grant_id: str | None = None,
    ) -> None:
        transaction = self.transaction
        workspace_id, scope_kind, scope_id = scope_key
        transaction.cursor.execute(
            store.INSERT_LIFT_ENTRY,
            (
                workspace_id,
                new_id("ent", transaction.now_us),
                transaction.next_position(workspace_id),
                transaction.now_us,
                what,
                scope_kind,
                scope_id,
                amount,
                _SYSTEM,
                grant_id,
                None if end_us == FOREVER else end_us,
                *kind,
                start_us,
            ),
        )
