"""
What the limits of a ledger should say, told by counting calls: the model that tests hold the real one against.

`Call` is a request and what it counts; `Tally` one limit, moved call by call. Neither shares anything with the books
but the rules of windows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.ledger_kit import Person
from tuckshop.domain.limits import Metric, Rolling
from tuckshop.domain.reservation import Amounts, LimitInForce
from tuckshop.domain.windows import SpanMemo, is_live, subwindow_start


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
