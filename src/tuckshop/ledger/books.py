"""
The ledger's memory: open reservations and their counters, written through to the database within each transaction.

Everything in here can be dropped and read again; `drop` does it when a transaction or a savepoint was rolled back. So
memory never says anything that the database does not, and no change has to be undone by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tuckshop.domain.limits import LimitKind, Rolling
from tuckshop.domain.reservation import (
    Amounts,
    Flag,
    Hold,
    LimitInForce,
    Outcome,
    ReservationState,
)
from tuckshop.domain.windows import SpanMemo, subwindow_start
from tuckshop.ledger import store
from tuckshop.ledger.contributions import settling_vectors, voiding_vectors
from tuckshop.ledger.counters import Counters
from tuckshop.ledger.day_sums import DaySums
from tuckshop.ledger.lifts import Lifts
from tuckshop.ledger.lineup import Lineup, meeting_of
from tuckshop.ledger.open_rows import OpenRow, read_open, scope_chain
from tuckshop.ledger.sums import Unsummed, Want, member_of_key, sum_directly
from tuckshop.ledger.tallies import FOREVER, ScopeKey, Tally, calendar_of
from tuckshop.storage.transaction import Transaction

LINEUPS_MAX: Final = 2_500  # in memory; beyond it all are forgotten
BUCKET_US: Final = 15 * 60 * 1_000_000
BucketKey = tuple[str, int, str, str, str, str, str]


class Books:
    """What is known of open reservations and of what they count in, and what of it is still to be written."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.day_sums = DaySums()
        self.lifts = Lifts(self.counters, self.flush)
        self.open: dict[str, OpenRow] = {}
        self._transaction: Transaction | None = None
        self._is_open_known = False
        self._lineups: dict[int, Lineup] = {}  # by the identity of their limits
        self._spans = SpanMemo()
        self._latest_us: int | None = None  # up to when counters were kept; None: the rows tell
        self._inserts: list[tuple[object, ...]] = []
        self._closes: list[tuple[object, ...]] = []
        self._buckets: dict[BucketKey, list[int]] = {}

    @property
    def transaction(self) -> Transaction:
        """The one that is open."""
        assert self._transaction is not None
        return self._transaction

    def begin(self, transaction: Transaction) -> None:
        """Work in *transaction* from now on."""
        self._transaction = transaction
        self.counters.begin(transaction)
        self.lifts.begin(transaction)
        if len(self._lineups) > LINEUPS_MAX:
            self._lineups.clear()
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
            self.undo()
        self._latest_us = transaction.now_us

    def drop(self) -> None:
        """What was done since the last `flush`, or what it wrote, is undone: read everything again."""
        self.undo()
        self.counters.forget_numbers()
        self.open = {}
        self._is_open_known = False
        self._latest_us = None
        self._inserts.clear()
        self._closes.clear()
        self._buckets.clear()
        self.day_sums.forget()

    def undo(self) -> None:
        """Something was undone, a change or time: what memory says of counters and accounts may not be so."""
        self.drop_counters()
        self.lifts.drop()

    def drop_counters(self) -> None:
        """Read counters again when they are needed. What is to be written of them is not."""
        self.counters.drop()
        self._lineups.clear()

    # ── what a call counts in ──────────────────────────────────────────────────────────────────────────────

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
            and lineup.generation == self.counters.generation
            and lineup.limits is limits
            and lineup.meeting == meeting_of(hold)
        ):
            now_us = self.transaction.now_us
            for tally in lineup.once:
                if not self.counters.is_ready(tally, now_us):
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
            self.counters.generation,
            tuple(tallies),
            tuple(
                (tally, tally.slot, limit.limit.amount)
                for limit, tally in zip(limits, tallies, strict=True)
            ),
            once,
            self._liftable(limits, tallies, hold.workspace_id),
            sum(len(self.counters.scope(key).covering(meeting[4])) for key in chain) != len(once),
        )
        return lineup

    def _liftable(
        self, limits: Sequence[LimitInForce], tallies: Sequence[Tally], workspace_id: str
    ) -> tuple[int, ...]:
        """The places whose limits may be lifted; of several on one counter the one that allows least."""
        least: dict[Tally, int] = {}
        for place, (limit, tally) in enumerate(zip(limits, tallies, strict=True)):
            if self.lifts.concern(limit, workspace_id):
                other = least.get(tally)
                if other is None or limit.limit.amount < limits[other].limit.amount:
                    least[tally] = place
        return tuple(least.values())

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
            tally = self.counters.scope(scope_key).tallies.get(limit.limit.kind)
            if tally is not None and self.counters.is_ready(tally, now_us):
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
            self.counters.install(scope_key, summer, is_stored=False)
        return self.tallies_of(limits, workspace_id, member_id)

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
        counters = self.counters
        if row.generation == counters.generation:
            counters.move([counter for counter in row.counters if not counter.is_gone], used, held)
        else:
            counters.add_everywhere(row.scope_keys, row.covered, row.admitted_at, used, held)
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
        self.counters.flush()
        if self._buckets:
            cursor.executemany(
                store.ADD_TO_BUCKET, [(*key, *sums) for key, sums in self._buckets.items()]
            )
            self.day_sums.add_late(self.transaction, self._buckets)
            self._buckets.clear()
