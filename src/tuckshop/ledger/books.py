"""
The ledger's memory: counters and open reservations, written through to the database within each transaction.

Everything in here can be dropped and read again; `drop` does it when a transaction or a savepoint was rolled back. So
memory never says anything that the database does not, and no change has to be undone by hand.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tuckshop.domain.limits import LimitKind, Rolling
from tuckshop.domain.reservation import (
    Amounts,
    Flag,
    Hold,
    LimitInForce,
    Outcome,
    ReservationState,
)
from tuckshop.domain.windows import SpanMemo, free_at_us, subwindow_start
from tuckshop.ledger import store
from tuckshop.ledger.arithmetic import NOTHING, Vector
from tuckshop.ledger.contributions import settling_vectors, voiding_vectors
from tuckshop.ledger.lineup import Lineup, meeting_of
from tuckshop.ledger.sums import Summer, Unsummed, Want, member_of_key, sum_directly
from tuckshop.ledger.tallies import (
    FOREVER,
    Counter,
    Covered,
    ScopeKey,
    ScopeTallies,
    Tally,
    TallyKey,
    aliases_of,
    calendar_of,
    kind_of,
)
from tuckshop.storage.transaction import Transaction

_log: Final = logging.getLogger(__name__)

# In memory; beyond it all are dropped and read again as they are needed. One with six limits takes 4 kB, and to tell
# how limits stand, as an import of members does, reads the scopes of people who may not call for days.
SCOPES_MAX: Final = 4_000
LINEUPS_MAX: Final = 2_500  # likewise
BUCKET_US: Final = 15 * 60 * 1_000_000
BucketKey = tuple[str, int, str, str, str, str, str]


class OpenRow(NamedTuple):
    """A reservation that is not resolved yet."""

    workspace_id: str
    id: str
    position: int
    admitted_at: int
    owner: str
    group_id: str
    member_id: str
    key_id: str
    endpoint: str
    covered: Covered
    held_cost: int
    held_input_tokens: int
    held_output_tokens: int
    images: int
    flags: frozenset[Flag]
    # What it counts in, as long as the books are of this generation; otherwise that has to be looked up.
    counters: tuple[Counter, ...] = ()
    generation: int = 0

    @property
    def scope_keys(self) -> tuple[ScopeKey, ...]:
        """The chain of scopes that it counts at."""
        return scope_chain(self.workspace_id, self.key_id, self.member_id, self.group_id)


def scope_chain(
    workspace_id: str, key_id: str, member_id: str, group_id: str
) -> tuple[ScopeKey, ScopeKey, ScopeKey, ScopeKey]:
    """The scopes of a call, narrow ones first."""
    return (
        (workspace_id, "key", key_id),
        (workspace_id, "member", member_id),
        (workspace_id, "group", group_id),
        (workspace_id, "workspace", workspace_id),
    )


class Books:
    """What is known of counters and open reservations, and what of it is still to be written."""

    def __init__(self) -> None:
        self.open: dict[str, OpenRow] = {}
        self.freed: set[TallyKey] = set()  # tallies that got room since somebody asked
        self.is_watched = False  # somebody waits, so `freed` matters
        self._transaction: Transaction | None = None
        self._is_open_known = False
        self._scopes: dict[ScopeKey, ScopeTallies] = {}
        self._lineups: dict[int, Lineup] = {}  # by the identity of their limits
        self.generation = 1  # of what tallies there are: another one whenever some come or go
        self._spans = SpanMemo()
        self._latest_us: int | None = None  # up to when counters were kept; None: the rows tell
        self._inserts: list[tuple[object, ...]] = []
        self._closes: list[tuple[object, ...]] = []
        self._dirty: list[Counter] = []
        self._deletes: list[tuple[int]] = []
        self._last_counter: int | None = (
            None  # the number of the table's last row; None: not read yet
        )
        self._buckets: dict[BucketKey, list[int]] = {}

    @property
    def transaction(self) -> Transaction:
        """The one that is open."""
        assert self._transaction is not None
        return self._transaction

    def begin(self, transaction: Transaction) -> None:
        """Work in *transaction* from now on."""
        self._transaction = transaction
        if len(self._lineups) > LINEUPS_MAX:
            self._lineups.clear()
        if len(self._scopes) > SCOPES_MAX:
            self.drop_counters()
        if not self._is_open_known:
            self.open = {row.id: row for row in read_open(transaction)}
            self._is_open_known = True
        self.keep_time()

    def keep_time(self) -> None:
        """
        See whether the clock was set back, and accepted.

        Sub-windows that had left are back then, and their counters are gone: all are summed afresh when needed.
        """
        transaction = self.transaction
        if self._latest_us is None:
            self._latest_us = transaction.cursor.execute(store.LATEST_ADMISSION).fetchone()[0]
        if transaction.now_us < self._latest_us:
            transaction.cursor.execute(store.DELETE_ROLLING)
            self.drop_counters()
        self._latest_us = transaction.now_us

    def drop(self) -> None:
        """What was done since the last `flush`, or what it wrote, is undone: read everything again."""
        self.drop_counters()
        self.open = {}
        self._is_open_known = False
        self._last_counter = self._latest_us = None
        self._inserts.clear()
        self._closes.clear()
        self._buckets.clear()

    def drop_counters(self) -> None:
        """Read counters again when they are needed. What is to be written of them is not."""
        self.generation += 1
        self._scopes.clear()
        self._lineups.clear()
        self._dirty.clear()
        self._deletes.clear()

    # ── counters ──────────────────────────────────────────────────────────────────────────────────────────────

    def scope(self, key: ScopeKey) -> ScopeTallies:
        """All tallies of a scope that exist."""
        scope = self._scopes.get(key)
        if scope is None:
            scope = self._scopes[key] = self._read_scope(key)
        return scope

    def lineup_of(self, hold: Hold) -> Lineup | Unsummed | None:
        """
        The limits that *hold* meets, each with its tally; where that is not a rolling one, `current` is its counter
        for now.

        Or what has to be summed first, off the writer; or None: a limit counts at a scope outside of the call's own
        chain, from which it would never be taken.
        """
        limits = hold.limits
        lineup = self._lineups.get(id(limits))
        if (
            lineup is not None
            and lineup.generation == self.generation
            and lineup.limits is limits
            and lineup.meeting == meeting_of(hold)
        ):
            now_us = self.transaction.now_us
            for tally in lineup.once:
                if not self._is_ready(tally, now_us):
                    break
            else:
                return lineup
        chain = scope_chain(hold.workspace_id, hold.key_id, hold.member_id, hold.group_id)
        if not {(limit.scope.kind, limit.scope.id) for limit in limits} <= {s[1:] for s in chain}:
            return None
        tallies = self.tallies_of(limits, hold.workspace_id, hold.member_id)
        if isinstance(tallies, Unsummed):
            return tallies
        meeting = meeting_of(hold)
        once = tuple(dict.fromkeys(tallies))
        lineup = self._lineups[id(limits)] = Lineup(
            limits,
            meeting,
            self.generation,
            tuple(tallies),
            tuple(
                (tally, tally.slot, limit.limit.amount)
                for limit, tally in zip(limits, tallies, strict=True)
            ),
            once,
            sum(len(self.scope(key).covering(meeting[4])) for key in chain) != len(once),
        )
        return lineup

    def tallies_of(
        self, limits: Sequence[LimitInForce], workspace_id: str, member_id: str | None
    ) -> list[Tally] | Unsummed:
        """
        The tally of each of *limits*; where it is not a rolling one, `current` is its counter for now.

        Args:
            member_id: Whose key a key's limits are for; None: to be looked up.
        Returns:
            Or what has to be summed first, off the writer.
        """
        now_us = self.transaction.now_us
        found: list[Tally] = []
        missing: dict[ScopeKey, dict[LimitKind, Want]] = {}
        for limit in limits:
            scope_key: ScopeKey = (workspace_id, limit.scope.kind, limit.scope.id)
            tally = self.scope(scope_key).tallies.get(limit.limit.kind)
            if tally is not None and self._is_ready(tally, now_us):
                found.append(tally)
            else:
                wants = missing.setdefault(scope_key, {})
                wants[limit.limit.kind] = self._want(limit, now_us)
        if not missing:
            return found
        self.flush()  # so that the sums see this batch's own rows
        for scope_key, wants in missing.items():
            if scope_key[1] == "key" and member_id is None:
                member_id = member_of_key(self.transaction.cursor, workspace_id, scope_key[2])
            whose = member_id if scope_key[1] == "key" else None
            chosen = tuple(wants.values())
            summer = sum_directly(self.transaction.cursor, scope_key, whose, chosen)
            if summer is None:
                return Unsummed(scope_key, whose, chosen)
            self.install(scope_key, summer, is_stored=False)
        return self.tallies_of(limits, workspace_id, member_id)

    def install(self, scope_key: ScopeKey, summer: Summer, *, is_stored: bool) -> None:
        """Take counters that were summed. *is_stored*: write them even where nobody has counted in them yet."""
        self.generation += 1
        now_us = self.transaction.now_us
        scope = self.scope(scope_key)
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

    # ── request rows ──────────────────────────────────────────────────────────────────────────────────────────

    def insert(self, row: OpenRow, columns: tuple[object, ...]) -> None:
        """A new reservation. Its counters are the caller's business."""
        self.open[row.id] = row
        self._inserts.append(columns)

    def close(
        self,
        row: OpenRow,
        state: ReservationState,
        *,
        charged: Amounts | None,
        cached_tokens: int,
        outcome: Outcome,
        flags: frozenset[Flag],
    ) -> int:
        """
        Resolve an open reservation: row, counters of all scopes and roll-up together (M6).

        Args:
            charged: None: nothing, all is given back.
        Returns:
            The position of the resolution.
        """
        transaction = self.transaction
        del self.open[row.id]
        if charged is None:
            charged = Amounts(images=row.images)
            used, held = voiding_vectors(
                row.held_cost, row.held_input_tokens, row.held_output_tokens, row.images
            )
        else:
            used, held = settling_vectors(
                row.held_cost, row.held_input_tokens, row.held_output_tokens, row.images, charged
            )
            self.roll_up(row, 1, charged, cached_tokens)
        if row.generation == self.generation:
            self.move([counter for counter in row.counters if not counter.is_gone], used, held)
        else:
            self.add_everywhere(row.scope_keys, row.covered, row.admitted_at, used, held)
        position = transaction.next_position(row.workspace_id)
        self._closes.append(
            (
                str(state),
                position,
                transaction.now_us,
                charged.cost_nano,
                charged.input_tokens,
                charged.output_tokens,
                cached_tokens,
                charged.images,
                " ".join(sorted(flags | row.flags)) if flags or row.flags else "",
                outcome.http_status,
                outcome.error,
                outcome.first_byte_ms,
                outcome.duration_ms,
                outcome.upstream_request_id,
                row.workspace_id,
                row.id,
            )
        )
        return position

    def roll_up(
        self, row: OpenRow, requests: int, charged: Amounts, cached_tokens: int = 0
    ) -> None:
        """Add to the quarter of an hour in which *row* was admitted."""
        key = (
            row.workspace_id,
            row.admitted_at - row.admitted_at % BUCKET_US,
            row.group_id,
            row.member_id,
            row.key_id,
            row.covered[0],
            row.endpoint,
        )
        sums = self._buckets.setdefault(key, [0, 0, 0, 0, 0])
        sums[0] += requests
        sums[1] += charged.input_tokens
        sums[2] += charged.output_tokens
        sums[3] += cached_tokens
        sums[4] += charged.cost_nano

    # ── write-through ─────────────────────────────────────────────────────────────────────────────────────────

    def flush(self) -> None:
        """Write what was changed into the open transaction."""
        cursor = self.transaction.cursor
        if self._inserts:
            cursor.executemany(store.INSERT_REQUEST, self._inserts)
            self._inserts.clear()
        if self._closes:
            cursor.executemany(store.CLOSE_REQUEST, self._closes)
            # Nobody else writes, so memory and table agree on what is open; if not, nothing here can be believed.
            assert cursor.rowcount == len(self._closes), "a reservation was closed twice"
            self._closes.clear()
        if self._deletes:
            cursor.executemany(store.DELETE_COUNTER, self._deletes)
            self._deletes.clear()
        if self._dirty:
            self._write_counters(cursor)
        if self._buckets:
            cursor.executemany(
                store.ADD_TO_BUCKET, [(*key, *sums) for key, sums in self._buckets.items()]
            )
            self._buckets.clear()

    def _write_counters(self, cursor: sqlite3.Cursor) -> None:
        new: list[tuple[object, ...]] = []
        changed: list[tuple[int, int, int]] = []
        for counter in self._dirty:
            if not counter.is_dirty:
                continue  # deleted since
            counter.is_dirty = False
            if counter.row_number:
                changed.append((counter.used, counter.held, counter.row_number))
                continue
            if self._last_counter is None:
                self._last_counter = int(cursor.execute(store.LAST_COUNTER).fetchone()[0])
            self._last_counter += 1
            counter.row_number = self._last_counter
            end_us = None if counter.end_us == FOREVER else counter.end_us
            new.append((counter.row_number, *counter.key, end_us, counter.used, counter.held))
        self._dirty.clear()
        if new:
            cursor.executemany(store.INSERT_COUNTER, new)
        if changed:
            cursor.executemany(store.UPDATE_COUNTER, changed)
            # As above: a row that somebody else took away would be money that nobody counts.
            assert cursor.rowcount == len(changed), "a counter's row is gone"

    def _mark(self, counter: Counter) -> None:
        if not counter.is_dirty:
            counter.is_dirty = True
            self._dirty.append(counter)

    def _delete(self, counter: Counter) -> None:
        counter.is_dirty = False
        counter.is_gone = True
        if counter.row_number:
            self._deletes.append((counter.row_number,))

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

    def _is_ready(self, tally: Tally, now_us: int) -> bool:
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

    def _want(self, limit: LimitInForce, now_us: int) -> Want:
        kind, window = limit.limit.kind, limit.limit.window
        if isinstance(window, Rolling):
            oldest_us = now_us - window.seconds * 1_000_000
            since_us = subwindow_start(window, subwindow_start(window, oldest_us) - 1)
            return Want(kind, start_us=0, end_us=FOREVER, since_us=since_us)
        calendar = calendar_of(kind.window)
        if calendar is None:  # what runs now: older rows are all closed
            since_us = min((row.admitted_at for row in self.open.values()), default=now_us)
            return Want(kind, start_us=0, end_us=FOREVER, since_us=since_us)
        span = self._spans.span_at(calendar, now_us, limit.zone)
        end_us = FOREVER if span.end_us is None else span.end_us
        return Want(kind, start_us=span.start_us, end_us=end_us, since_us=span.start_us)


def read_open(transaction: Transaction) -> list[OpenRow]:
    """Every reservation that is not resolved, of whatever boot, oldest first."""
    cursor = transaction.cursor
    found: list[OpenRow] = []
    for (workspace_id,) in cursor.execute("SELECT id FROM workspaces").fetchall():
        for values in cursor.execute(store.OPEN_REQUESTS, (workspace_id,)).fetchall():
            group, model, aliases, *held, images, flags = values[9:]
            covered = (model, aliases_of(aliases), group)
            unknown: tuple[Counter, ...] = ()
            found.append(
                OpenRow._make(
                    (*values[:9], covered, *held, images, frozenset(flags.split()), unknown, 0)
                )
            )
    return found


def _only(slot: int, amount: int) -> Vector:
    """*amount* of one metric, nothing of the others."""
    a, b, c, d, e, f, g = (amount if other == slot else 0 for other in range(len(NOTHING)))
    return a, b, c, d, e, f, g
