"""
Counters in memory: written through, so that whatever is here can be dropped at any time and read again.

A *counter* is one row: (workspace, scope, metric, selector, window, window start). A *tally* is the counters of one
kind at one scope: those of one calendar window after the other, or the sub-windows of a rolling one with their sum.

What keeps them true: a counter that exists counts every request of its scope that its selector covers and its window
holds, open or closed, exactly once. A tally of which nothing is live does not exist; it is summed from the rows when
somebody needs it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeAlias

from tuckshop.domain.limits import Calendar, LimitKind, Metric, Rolling, Selector
from tuckshop.domain.windows import free_at_us, subwindow_start, subwindow_us
from tuckshop.ledger.arithmetic import SLOT_OF

FOREVER: Final = 2**63 - 1

ScopeKey: TypeAlias = tuple[str, str, str]  # workspace, scope kind, scope id
TallyKey: TypeAlias = tuple[str, str, str, str, str, str]  # … metric, canonical selector, window
CounterKey: TypeAlias = tuple[str, str, str, str, str, str, int]
Covered: TypeAlias = tuple[str, tuple[str, ...], str]  # model, aliases, endpoint group


class Counter:
    """One row. `end_us` is when it ends to count, which for a sub-window is later than it ends to fill."""

    __slots__ = (
        "end_us", "held", "is_dirty", "is_gone", "row_number", "start_us", "tally", "used",
    )  # fmt: skip

    def __init__(self, tally: Tally, start_us: int, end_us: int, used: int = 0, held: int = 0):
        self.tally = tally
        self.row_number = 0  # where it stands in the table; 0: it is not in there yet
        self.is_gone = False  # it counts nothing any more
        self.start_us = start_us
        self.end_us = end_us
        self.used = used
        self.held = held
        self.is_dirty = False

    @property
    def key(self) -> CounterKey:
        """Its primary key."""
        return (*self.tally.key, self.start_us)


class Tally:
    """The counters of one kind at one scope."""

    __slots__ = (
        "counters", "current", "dead_us", "held", "is_gone", "kind", "rolling", "scope_key", "selector", "slot",
        "subwindow_us", "used",
    )  # fmt: skip

    def __init__(self, scope_key: ScopeKey, kind: LimitKind) -> None:
        self.scope_key = scope_key
        self.kind = kind
        self.slot = SLOT_OF[kind.metric]
        self.selector = selector_of(kind.selector)
        self.rolling = rolling_of(kind.window)
        self.subwindow_us = subwindow_us(self.rolling) if self.rolling else 0
        self.counters: dict[
            int, Counter
        ] = {}  # by start; of a rolling tally the live ones, oldest first
        self.current: Counter | None = None
        self.dead_us = FOREVER  # when the oldest of a rolling tally leaves
        self.is_gone = False  # no longer kept up
        self.used = 0  # of a rolling tally: the sum of the live ones
        self.held = 0

    @property
    def key(self) -> TallyKey:
        """What names it."""
        return tally_key(self.scope_key, self.kind)

    def put(self, start_us: int, end_us: int, used: int, held: int) -> Counter:
        """Add a counter: one later than those that are there, unless the clock was set back and accepted."""
        counter = Counter(self, start_us, end_us, used, held)
        is_latest = not self.counters or start_us > next(reversed(self.counters))
        self.counters[start_us] = counter
        self.current = counter
        if self.rolling:
            self.used += used
            self.held += held
            if not is_latest:
                self.counters = dict(sorted(self.counters.items()))
            if next(iter(self.counters)) == start_us:
                self.dead_us = end_us
        return counter

    def counter_now(self, now_us: int) -> Counter | None:
        """The counter that a call admitted at *now_us* counts in; None: there is none yet."""
        current = self.current
        if self.rolling:
            start_us = now_us - now_us % self.subwindow_us
            if current is not None and current.start_us == start_us:
                return current
            known = self.counters.get(start_us)
            if known is not None:
                self.current = known
                return known
            return self.put(start_us, free_at_us(self.rolling, start_us), 0, 0)
        if current is not None and current.start_us <= now_us < current.end_us:
            return current
        return self.counter_at(now_us)

    def counter_at(self, admitted_us: int) -> Counter | None:
        """The counter of a call that was admitted at *admitted_us*; None: it is gone, or never was."""
        if self.rolling:
            return self.counters.get(subwindow_start(self.rolling, admitted_us))
        for counter in self.counters.values():
            if counter.start_us <= admitted_us < counter.end_us:
                return counter
        return None

    def drop_dead(self, now_us: int) -> list[Counter]:
        """Of a rolling tally: take out the sub-windows that have left, oldest first."""
        dead: list[Counter] = []
        if now_us < self.dead_us:
            return dead
        self.dead_us = FOREVER
        for counter in self.counters.values():
            if now_us < counter.end_us:
                self.dead_us = counter.end_us
                break
            dead.append(counter)
        for counter in dead:
            del self.counters[counter.start_us]
            self.used -= counter.used
            self.held -= counter.held
        if not self.counters:
            self.current = None
        return dead

    def let_go(self) -> None:
        """It is in memory no more. Counters name their tally: without this only the cycle collector would free both."""
        self.counters.clear()
        self.current = None

    def resets_at_us(self, now_us: int) -> int:
        """When all of a rolling window is free again."""
        current = self.current
        if current is not None and (current.used or current.held):
            return current.end_us
        for counter in reversed(self.counters.values()):
            if counter.used or counter.held:
                return counter.end_us
        return now_us


class ScopeTallies:
    """All tallies of one scope."""

    __slots__ = ("_covering", "id", "key", "tallies")

    def __init__(self, key: ScopeKey) -> None:
        self.key = key
        self.id = key[2]
        self.tallies: dict[LimitKind, Tally] = {}
        self._covering: dict[Covered, tuple[Tally, ...]] = {}

    def covering(self, covered: Covered) -> tuple[Tally, ...]:
        """The tallies that such a call counts in."""
        found = self._covering.get(covered)
        if found is None:
            found = tuple(
                tally for tally in self.tallies.values() if tally.selector.covers(*covered)
            )
            if len(self._covering) >= 64:
                self._covering.clear()
            self._covering[covered] = found
        return found

    def let_go(self) -> None:
        """It is in memory no more."""
        for tally in self.tallies.values():
            tally.let_go()

    def add(self, tally: Tally) -> None:
        """From now on it counts."""
        self.tallies[tally.kind] = tally
        self._covering.clear()

    def remove(self, tally: Tally) -> None:
        """It counts no more."""
        self.tallies.pop(tally.kind, None)
        tally.is_gone = True
        self._covering.clear()


def tally_key(scope_key: ScopeKey, kind: LimitKind) -> TallyKey:
    """What names the tally of *kind* at that scope, in memory or not."""
    return (*scope_key, str(kind.metric), kind.selector, kind.window)


@lru_cache(maxsize=4096)
def kind_of(metric: str, selector: str, window: str) -> LimitKind:
    """The kind that a row's columns tell."""
    return LimitKind(Metric(metric), window, selector)


@lru_cache(maxsize=4096)
def selector_of(canonical: str) -> Selector:
    """The selector that is written so in a counter's key."""
    names = canonical.split(",") if canonical else []
    endpoints = tuple(
        name.removeprefix("endpoint:") for name in names if name.startswith("endpoint:")
    )
    models = tuple(name for name in names if not name.startswith("endpoint:"))
    return Selector(models, endpoints)


@lru_cache(maxsize=1024)
def rolling_of(window: str) -> Rolling | None:
    """The rolling window that is written so in a counter's key; None: it is a calendar window, or `now`."""
    if not window.startswith("rolling:"):
        return None
    seconds = int(window.removeprefix("rolling:"))
    return Rolling.of(seconds, "second")


def calendar_of(window: str) -> Calendar | None:
    """The calendar window that is written so in a counter's key."""
    match window:
        case "day" | "week" | "month" | "year" | "total":
            return window
        case _:
            return None


def aliases_of(text: str) -> tuple[str, ...]:
    """A row's `model_aliases`."""
    return tuple(text.split())
