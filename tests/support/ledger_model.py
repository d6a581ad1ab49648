"""
What the limits of a ledger should say, told by counting calls: the model that tests hold the real one against.

`Call` is a request and what it counts; `Tally` one limit, moved call by call; `Account` what a member was granted and
what was carried over. None of them shares anything with the books but the rules of windows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.support.ledger_kit import Person
from tuckshop.domain.limits import Metric, Rolling
from tuckshop.domain.reservation import Amounts, LimitInForce
from tuckshop.domain.windows import SpanMemo, is_live, span_at, subwindow_start

Kind = tuple[str, str]  # canonical selector, window
Spent = Callable[[Kind, int, int], int]  # of a kind, in [start, end)


@dataclass(slots=True, eq=False)
class Call:
    """A call as the model knows it."""

    id: str
    person: Person
    model: str
    at_us: int
    order: int
    held: Amounts
    state: str = "open"
    charged: Amounts = field(default_factory=Amounts)
    added: tuple[int, int, int] = (0, 0, 0)  # by corrections: cost, input tokens, output tokens
    closed_order: int | None = None

    def close(self, state: str, charged: Amounts, order: int) -> None:
        """It is settled or voided."""
        self.state, self.charged, self.closed_order = state, charged, order

    def counts(self, metric: Metric) -> tuple[int, int]:
        """(used, held) in one metric."""
        if self.state == "voided":
            return 0, 0
        if self.state == "open":
            if metric in (Metric.REQUESTS, Metric.IMAGES):
                return self.held.of(metric), 0
            return 0, self.held.of(metric)
        if metric is Metric.CONCURRENCY:
            return 0, 0
        cost, inputs, outputs = self.added
        added = Amounts(cost_nano=cost, input_tokens=inputs, output_tokens=outputs)
        more = 0 if metric is Metric.REQUESTS else added.of(metric)
        return self.charged.of(metric) + more, 0


class Tally:
    """One limit: what is used and held in each of its windows."""

    def __init__(self, limit: LimitInForce, memo: SpanMemo) -> None:
        self.limit = limit
        self.last_reset = 0  # the order of it
        self._metric = limit.limit.metric
        self._window = limit.limit.window
        self._memo = memo
        self._sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])

    def counts(self, call: Call) -> tuple[int, int]:
        """What *call* counts here as it is."""
        return call.counts(self._metric)

    def move(self, call: Call, before: tuple[int, int]) -> None:
        """*call* counted *before* and has changed; what a reset has ended stays ended."""
        if call.closed_order is not None and call.closed_order < self.last_reset:
            return
        used, held = self.counts(call)
        sums = self._sums[self._start_of(call.at_us)]
        sums[0] += used - before[0]
        sums[1] += held - before[1]

    def reset(self, order: int, running: Iterable[Call]) -> None:
        """Begin again with what is *running*."""
        self.last_reset = order
        self._sums.clear()
        for call in running:
            self.move(call, (0, 0))

    def reading(self, now_us: int) -> tuple[int, int]:
        """(used, held) now."""
        window = self._window
        if not isinstance(window, Rolling):
            used, held = self._sums[self._start_of(now_us)]
            return used, held
        used = held = 0
        for start_us in list(self._sums):
            if not is_live(window, start_us, now_us):
                del self._sums[start_us]
                continue
            more_used, more_held = self._sums[start_us]
            used, held = used + more_used, held + more_held
        return used, held

    def _start_of(self, at_us: int) -> int:
        window = self._window
        if isinstance(window, Rolling):
            return subwindow_start(window, at_us)
        if window == "now":
            return 0
        return self._memo.span_at(window, at_us, self.limit.zone).start_us


@dataclass(slots=True)
class Grant:
    """Money that was added, and what windows that are over took of it, by kind."""

    id: str
    amount: int
    at_us: int
    until_us: float
    gave: dict[Kind, int] = field(default_factory=dict)

    def left(self, kind: Kind) -> int:
        return self.amount - self.gave.get(kind, 0)


@dataclass(slots=True)
class Met:
    """A window that an admitted call has met: what it may spend without a grant, and what it took over."""

    start_us: int
    end_us: int
    ground: int
    carried: int
    at_us: int


class Account:
    """What one member may spend beyond amounts: looked at before a call, kept when it is admitted."""

    def __init__(self) -> None:
        self._grants: list[Grant] = []
        self._met: dict[Kind, Met] = {}
        self._carries: dict[
            Kind, tuple[int, int]
        ] = {}  # window start, amount: even if not in force

    def grant(self, id_: str, amount: int, at_us: int, until_us: int | None) -> None:
        """Staff add money."""
        until = float("inf") if until_us is None else until_us
        self._grants.append(Grant(id_, amount, at_us, until))
        self._grants.sort(key=lambda grant: (grant.until_us, grant.at_us, grant.id))

    def gave(self) -> dict[tuple[str, Kind], int]:
        """What is fixed, by grant and kind."""
        return {
            (grant.id, kind): amount
            for grant in self._grants
            for kind, amount in grant.gave.items()
        }

    def look(
        self,
        limit: LimitInForce,
        now_us: int,
        spent: Callable[[int, int], int],
        *,
        is_kept: bool,
    ) -> int:
        """How far *limit* may be passed. *is_kept*: a call was admitted by it."""
        active = [grant for grant in self._grants if grant.until_us > now_us]
        if limit.carry is None and not active:
            return 0
        kind = (limit.limit.kind.selector, limit.limit.kind.window)
        window = limit.limit.window
        assert isinstance(window, str)
        assert window != "now"
        span = span_at(window, now_us, limit.zone)
        end_us = 2**63 - 1 if span.end_us is None else span.end_us
        now_spent = spent(span.start_us, end_us)
        met = self._met.get(kind)
        gave: list[tuple[Grant, int]] = []
        fixed: dict[str, int] = {}

        def fix(excess: int, owing: list[Grant]) -> int:
            total = 0
            for grant in owing:
                part = max(0, min(excess - total, grant.left(kind) - fixed.get(grant.id, 0)))
                fixed[grant.id] = fixed.get(grant.id, 0) + part
                gave.append((grant, part))
                total += part
            return total

        carried = self._carried(limit, kind, met, span.start_us, spent)
        own = now_spent
        if met is not None and met.start_us != span.start_us:
            excess = spent(met.start_us, met.end_us) - met.ground
            fix(
                excess, [g for g in self._grants if g.at_us < met.end_us and g.until_us > met.at_us]
            )
        elif met is not None:
            ended = [g for g in self._grants if met.at_us < g.until_us <= now_us]
            own = min(now_spent, met.ground) + fix(now_spent - met.ground, ended)
        ground = max(limit.limit.amount + carried, own)
        if is_kept:
            for grant, part in gave:
                if part:
                    grant.gave[kind] = grant.gave.get(kind, 0) + part
            fixed.clear()
            self._met[kind] = Met(span.start_us, end_us, ground, carried, now_us)
            if carried:
                self._carries[kind] = span.start_us, carried
        available = sum(g.left(kind) - fixed.get(g.id, 0) for g in active)
        return ground + available - limit.limit.amount

    def before_reset(self, now_us: int, used: Spent, *, with_total: bool) -> None:
        """What was used above the ground is fixed."""
        for kind, met in self._met.items():
            if met.end_us <= now_us or (kind[1] == "total" and not with_total):
                continue
            excess = used(kind, met.start_us, met.end_us) - met.ground
            for grant in self._grants:
                if grant.at_us < met.end_us and grant.until_us > met.at_us:
                    part = max(0, min(excess, grant.left(kind)))
                    excess -= part
                    if part:
                        grant.gave[kind] = grant.gave.get(kind, 0) + part

    def _carried(
        self,
        limit: LimitInForce,
        kind: Kind,
        met: Met | None,
        start_us: int,
        spent: Callable[[int, int], int],
    ) -> int:
        window = limit.limit.window
        if limit.carry is None or window == "total":
            return 0
        assert not isinstance(window, Rolling)
        assert window != "now"
        if self._carries.get(kind, (None, 0))[0] == start_us:
            return self._carries[kind][1]
        if met is not None and met.start_us == start_us:
            return 0
        span = span_at(window, limit.carry.since_us, limit.zone)
        assert span.end_us is not None
        left = limit.limit.amount - spent(span.start_us, span.end_us)
        if span.start_us >= start_us:
            return 0
        if met is not None and met.start_us >= span.start_us:
            span = span_at(window, met.start_us, limit.zone)
            met_with, into = self._carries.get(kind, (None, 0))
            lowered = limit.limit.amount + (into if met_with == met.start_us else 0)
            left = min(met.ground, lowered) - spent(met.start_us, met.end_us)
        carried = min(limit.carry.most, max(0, left))
        assert span.end_us is not None
        while span.end_us < start_us:
            carried = min(limit.carry.most, carried + limit.limit.amount)
            span = span_at(window, span.end_us, limit.zone)
            assert span.end_us is not None
        return carried
