"""
The counters that are in memory: read where they are needed, moved, and written through.

They come in generations: another one begins whenever tallies come or go, and whatever remembers a counter from outside
of here looks it up again if its generation is not that of now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import islice
from typing import Final

from tuckshop.domain.windows import free_at_us
from tuckshop.ledger import store
from tuckshop.ledger.arithmetic import NOTHING, Vector
from tuckshop.ledger.lineup import Lineup
from tuckshop.ledger.sums import Summer
from tuckshop.ledger.tallies import (
    FOREVER,
    Counter,
    Covered,
    ScopeKey,
    ScopeTallies,
    Tally,
    TallyKey,
    kind_of,
)
from tuckshop.storage.transaction import Transaction

# In memory; beyond it the older half is dropped and read again as it is needed. One with six limits takes 3 kB, and to
# tell how limits stand, as an import of members does, reads the scopes of people who may not call for days.
SCOPES_MAX: Final = 2_500
EMPTY_MAX: Final = (
    20_000  # scopes of which is known that they have no counters, as keys without limits
)


class Counters:
    """What is known of counters, and what of it is still to be written."""

    def __init__(self) -> None:
        self.freed: set[TallyKey] = set()  # tallies that got room since somebody asked
        self.is_watched = False  # somebody waits, so `freed` matters
        self.generation = 1
        self._transaction: Transaction | None = None
        self._scopes: dict[
            ScopeKey, ScopeTallies
        ] = {}  # those with tallies, the longest known first
        self._empty: set[ScopeKey] = set()
        self._dirty: list[Counter] = []
        self._deletes: list[tuple[int]] = []
        self._last_number: int | None = None  # of the table's last row; None: not read yet

    @property
    def transaction(self) -> Transaction:
        """The one that is open."""
        assert self._transaction is not None
        return self._transaction

    def begin(self, transaction: Transaction) -> None:
        """Work in *transaction* from now on."""
        self._transaction = transaction
        if len(self._empty) > EMPTY_MAX:
            self._empty.clear()
        if len(self._scopes) > SCOPES_MAX:
            self.generation += 1
            for key in list(islice(self._scopes, len(self._scopes) // 2)):
                self._scopes.pop(key).let_go()

    def drop(self) -> None:
        """Read them again when they are needed. What is to be written of them is not."""
        self.generation += 1
        for scope in self._scopes.values():
            scope.let_go()
        self._scopes.clear()
        self._empty.clear()
        self._dirty.clear()
        self._deletes.clear()

    def forget_numbers(self) -> None:
        """Rows that were added are gone again: look at which numbers are taken."""
        self._last_number = None

    # ── finding ───────────────────────────────────────────────────────────────────────────────────────────────

    def scope(self, key: ScopeKey) -> ScopeTallies:
        """All tallies of a scope that exist."""
        scope = self._scopes.get(key)
        if scope is not None:
            return scope
        if key in self._empty:
            return ScopeTallies(key)
        scope = self._read_scope(key)
        if scope.tallies:
            self._scopes[key] = scope
        else:
            self._empty.add(key)
        return scope

    def is_ready(self, tally: Tally, now_us: int) -> bool:
        """See to it that *tally* stands as it does now; False: its counter for now has to be summed first."""
        if tally.rolling is not None:
            if now_us >= tally.dead_us:
                for counter in tally.drop_dead(now_us):
                    self._delete(counter)
            return True
        current = tally.current
        if current is None or not current.start_us <= now_us < current.end_us:
            tally.current = tally.counter_at(now_us)
        return tally.current is not None

    def _read_scope(self, key: ScopeKey) -> ScopeTallies:
        scope = ScopeTallies(key)
        now_us = self.transaction.now_us
        found = self.transaction.cursor.execute(store.SCOPE_COUNTERS, key).fetchall()
        for number, metric, selector, window, start_us, end_us, used, held in found:
            kind = kind_of(metric, selector, window)
            tally = scope.tallies.get(kind)
            if tally is None:
                tally = Tally(key, kind)
                scope.add(tally)
            counter = tally.put(start_us, FOREVER if end_us is None else end_us, used, held)
            counter.row_number = number
        for tally in list(scope.tallies.values()):
            if tally.rolling is not None:
                for dead in tally.drop_dead(now_us):
                    self._delete(dead)
                if not tally.counters:
                    scope.remove(tally)  # nothing vouches for what was not counted meanwhile
        return scope

    # ── changing ──────────────────────────────────────────────────────────────────────────────────────────────

    def install(self, scope_key: ScopeKey, summer: Summer, *, is_stored: bool) -> None:
        """Take counters that were summed. *is_stored*: write them even where nobody has counted in them yet."""
        self.generation += 1
        now_us = self.transaction.now_us
        scope = self._scopes[scope_key] = self.scope(scope_key)
        self._empty.discard(scope_key)
        for index, want in enumerate(summer.wants):
            used, held = summer.used[index], summer.held[index]
            tally = scope.tallies.get(want.kind)
            if tally is None:
                tally = Tally(scope_key, want.kind)
                scope.add(tally)
            elif tally.rolling is not None or tally.counter_at(now_us) is not None:
                continue  # somebody else was faster
            if tally.rolling is None:
                if (former := tally.counters.get(want.start_us)) is not None:
                    self._delete(former)  # another time zone ended it earlier
                counter = tally.put(
                    want.start_us,
                    want.end_us,
                    used.get(want.start_us, 0),
                    held.get(want.start_us, 0),
                )
                if is_stored:
                    self._mark(counter)
                continue
            for start_us in sorted(used.keys() | held.keys()):
                end_us = free_at_us(tally.rolling, start_us)
                counter = tally.put(start_us, end_us, used.get(start_us, 0), held.get(start_us, 0))
                # All or none of a rolling tally's counters are in the database: one that is there vouches for all.
                self._mark(counter)
            for dead in tally.drop_dead(now_us):
                self._delete(dead)

    def add(self, counter: Counter, used: int, held: int) -> None:
        """Move one counter."""
        slot = counter.tally.slot
        self.move((counter,), _only(slot, used), _only(slot, held))

    def move(self, counters: Iterable[Counter], used: Vector, held: Vector) -> None:
        """Move each of *counters* by what its metric has in these."""
        dirty = self._dirty
        for counter in counters:
            tally = counter.tally
            more_used, more_held = used[tally.slot], held[tally.slot]
            if not more_used and not more_held:
                continue
            counter.used += more_used
            counter.held += more_held
            if tally.rolling is not None:
                tally.used += more_used
                tally.held += more_held
            if not counter.is_dirty:
                counter.is_dirty = True
                dirty.append(counter)
            if self.is_watched and (more_used < 0 or more_held < 0):
                self.freed.add(tally.key)

    def take(self, lineup: Lineup, used: Vector, held: Vector) -> tuple[Counter, ...] | None:
        """
        Move the counters for now of everything in *lineup*.

        Returns:
            Them; None if the call takes nothing from some, so that these may not be there yet.
        """
        now_us = self.transaction.now_us
        counters = []
        for tally in lineup.once:
            slot = tally.slot
            if used[slot] or held[slot]:
                counter = tally.current if tally.rolling is None else tally.counter_now(now_us)
                assert counter is not None
                counters.append(counter)
        self.move(counters, used, held)
        return tuple(counters) if len(counters) == len(lineup.once) else None

    def add_everywhere(
        self,
        scope_keys: Iterable[ScopeKey],
        covered: Covered,
        admitted_us: int,
        used: Vector,
        held: Vector,
    ) -> None:
        """Move every counter that such a call counts in, where it is still there."""
        for key in scope_keys:
            tallies = self.scope(key).covering(covered)
            found = [tally.counter_at(admitted_us) for tally in tallies]
            self.move([counter for counter in found if counter is not None], used, held)

    def forget(self, scope: ScopeTallies, tally: Tally) -> None:
        """No limit uses this kind any more, so it is not kept up: should one come back, it is summed afresh."""
        self.generation += 1
        for counter in tally.counters.values():
            self._delete(counter)
        scope.remove(tally)

    def _mark(self, counter: Counter) -> None:
        if not counter.is_dirty:
            counter.is_dirty = True
            self._dirty.append(counter)

    def _delete(self, counter: Counter) -> None:
        counter.is_dirty = False
        counter.is_gone = True
        if counter.row_number:
            self._deletes.append((counter.row_number,))

    # ── write-through ─────────────────────────────────────────────────────────────────────────────────────────

    def flush(self) -> None:
        """Write what was changed into the open transaction."""
        cursor = self.transaction.cursor
        if self._deletes:
            cursor.executemany(store.DELETE_COUNTER, self._deletes)
            self._deletes.clear()
        if self._dirty:
            self._write_dirty(cursor)

    def _write_dirty(self, cursor: sqlite3.Cursor) -> None:
        new: list[tuple[object, ...]] = []
        changed: list[tuple[int, int, int]] = []
        for counter in self._dirty:
            if not counter.is_dirty:
                continue  # deleted since
            counter.is_dirty = False
            if counter.row_number:
                changed.append((counter.used, counter.held, counter.row_number))
                continue
            if self._last_number is None:
                self._last_number = int(cursor.execute(store.LAST_COUNTER).fetchone()[0])
            self._last_number += 1
            counter.row_number = self._last_number
            end_us = None if counter.end_us == FOREVER else counter.end_us
            new.append((counter.row_number, *counter.key, end_us, counter.used, counter.held))
        self._dirty.clear()
        if new:
            cursor.executemany(store.INSERT_COUNTER, new)
        if changed:
            cursor.executemany(store.UPDATE_COUNTER, changed)
            # Nobody else writes here: a row that somebody else took away would be money that nobody counts.
            assert cursor.rowcount == len(changed), "a counter's row is gone"


def _only(slot: int, amount: int) -> Vector:
    """*amount* of one metric, nothing of the others."""
    a, b, c, d, e, f, g = (amount if other == slot else 0 for other in range(len(NOTHING)))
    return a, b, c, d, e, f, g
