"""
Recompute every counter and every roll-up from the rows, and say where one differs (M8).

Starts at the last closing and goes through what happened since; `full` starts at the beginning. A counter that was
not in the closing is recomputed from its window's start. Reads one snapshot, so a server may go on writing meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from tuckshop.ledger.arithmetic import Vector
from tuckshop.ledger.books import BUCKET_US, BucketKey
from tuckshop.ledger.carry_rows import CarryRow, carry_rows, in_stretches
from tuckshop.ledger.closings import Closing, unpacked
from tuckshop.ledger.contributions import (
    ROW_COLUMNS,
    Row,
    correction_vector,
    counts_after,
    open_vectors,
    vectors_of,
)
from tuckshop.ledger.day_sums import DAY_US, differing
from tuckshop.ledger.sums import Reset, last_reset
from tuckshop.ledger.tallies import (
    FOREVER,
    Counter,
    CounterKey,
    ScopeKey,
    ScopeTallies,
    Tally,
    aliases_of,
    kind_of,
)
from tuckshop.ledger.verify_grants import verify_grants
from tuckshop.storage.audit import first_broken_audit_row
from tuckshop.storage.database import CLOCK_ACCEPTED, open_for_reading

_EMPTY: Final = Closing([], [])


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the ledger contradicts itself."""

    where: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Report:
    """What was looked at, and what was wrong."""

    differences: list[Difference] = field(default_factory=list)
    counters: int = 0
    requests: int = 0
    buckets: int = 0


def verify_folder(path: Path, *, full: bool = False) -> Report:
    """
    Check the ledger at *path* (its file, or the data folder), also while a server writes it.

    Raises:
        StoreError: There is no ledger that can be read.
    """
    with closing(open_for_reading(path)) as connection:
        return verify(connection, full=full)


def verify(connection: sqlite3.Connection, *, full: bool = False) -> Report:
    """Check what *connection* sees, in one snapshot."""
    report = Report()
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    try:
        for (workspace_id,) in cursor.execute("SELECT id FROM workspaces").fetchall():
            _Check(cursor, workspace_id, report, full=full).run()
            engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
            with engine.connect() as sql:
                broken = first_broken_audit_row(sql, workspace_id)
            if broken is not None:
                report.differences.append(
                    Difference(f"audit row {broken}", "the hash of the row before", "another")
                )
    finally:
        if connection.in_transaction:
            cursor.execute("ROLLBACK")
    return report


class _Check:
    """One workspace."""

    def __init__(
        self, cursor: sqlite3.Cursor, workspace_id: str, report: Report, *, full: bool
    ) -> None:
        self._cursor = cursor
        self._workspace_id = workspace_id
        self._report = report
        self._position, self._closed_at_us, self._closing = self._last_closing(full)
        self._was_open = frozenset(self._closing.open)
        self._scopes: dict[ScopeKey, ScopeTallies] = {}
        self._expected: dict[Counter, list[int]] = {}
        self._based: set[Counter] = set()  # known at the closing: only what came later is added
        self._resets: dict[ScopeKey, list[Reset]] = {}

    def run(self) -> None:
        self._read_resets()
        self._read_counters()
        corrections = self._read_corrections()
        for row in self._rows():
            self._report.requests += 1
            self._check_row(row)
            self._count(row)
        for carried in self._folded():
            self._check_folded(carried)
            self._add(carried.as_row, carried.used, None, self._is_unbased)
        for row, position, more in corrections:
            is_meant = _any if position > self._position else self._is_unbased
            self._add(row, more, None, is_meant)
        verify_grants(self._cursor, self._workspace_id, self._differ, since_position=self._position)
        self._compare_counters()
        since_us = self._buckets_since_us(corrections)
        self._compare_buckets(since_us)
        # The mark may have passed the day before the closing since then.
        for where, expected, found in differing(
            self._cursor, self._workspace_id, since_us=max(0, since_us - DAY_US)
        ):
            self._differ(where, expected, found)

    def _last_closing(self, full: bool) -> tuple[int, int, Closing]:
        row = None
        if not full:
            row = self._cursor.execute(
                "SELECT position, at, counters FROM closings WHERE workspace_id = ?"
                " ORDER BY position DESC LIMIT 1",
                (self._workspace_id,),
            ).fetchone()
        return (0, 0, _EMPTY) if row is None else (row[0], row[1], unpacked(row[2]))

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────

    def _read_resets(self) -> None:
        for kind, id_, position, at_us, with_total in self._cursor.execute(
            "SELECT scope_kind, scope_id, position, at, with_total FROM entries"
            " WHERE workspace_id = ? AND kind = 'reset'",
            (self._workspace_id,),
        ).fetchall():
            key = (self._workspace_id, kind, id_)
            self._resets.setdefault(key, []).append(Reset(position, at_us, bool(with_total)))

    def _read_counters(self) -> None:
        closed = {
            (self._workspace_id, *counter[:6]): (counter[6], counter[7])
            for counter in self._closing.counters
        }
        for (
            kind,
            id_,
            metric,
            selector,
            window,
            start_us,
            end_us,
            used,
            held,
        ) in self._cursor.execute(
            'SELECT scope_kind, scope_id, metric, selector, "window", window_start, window_end, used, held'
            " FROM counters WHERE workspace_id = ?"
            ' ORDER BY scope_kind, scope_id, metric, selector, "window", window_start',
            (self._workspace_id,),
        ).fetchall():
            scope_key = (self._workspace_id, kind, id_)
            scope = self._scopes.get(scope_key)
            if scope is None:
                scope = self._scopes[scope_key] = ScopeTallies(scope_key)
            limit_kind = kind_of(metric, selector, window)
            tally = scope.tallies.get(limit_kind)
            if tally is None:
                tally = Tally(scope_key, limit_kind)
                scope.add(tally)
            counter = tally.put(start_us, FOREVER if end_us is None else end_us, used, held)
            self._report.counters += 1
            self._expected[counter] = [0, 0]
            if closed and (then := closed.get(counter.key)) is not None:
                self._based.add(counter)
                if not self._is_reset_since(counter):
                    self._expected[counter] = list(then)
            if used < 0 or held < 0:
                self._differ(f"counter {_told(counter.key)}", "at least 0", (used, held))

    def _read_corrections(self) -> list[tuple[Row, int, Vector]]:
        columns = ", ".join(f"r.{name.strip()}" for name in ROW_COLUMNS.split(","))
        query = (
            f"SELECT e.position, e.cost, e.input_tokens, e.output_tokens, {columns}"  # noqa: S608 - constants
            " FROM entries e JOIN requests r ON r.workspace_id = e.workspace_id AND r.id = e.request_id"
            " WHERE e.workspace_id = ? AND e.kind = 'correction' ORDER BY e.position"
        )
        found: list[tuple[Row, int, Vector]] = []
        totals: dict[str, list[int]] = {}
        for position, cost, input_tokens, output_tokens, *values in self._cursor.execute(
            query, (self._workspace_id,)
        ).fetchall():
            row = Row._make(values)
            more = (cost or 0, input_tokens or 0, output_tokens or 0)
            total = totals.setdefault(
                row.id, [row.cost or 0, row.input_tokens or 0, row.output_tokens or 0]
            )
            for index, value in enumerate(more):
                total[index] += value
            if min(total) < 0:
                self._differ(f"request {row.id}, corrected at {position}", "at least 0", total)
            found.append((row, position, correction_vector(*more)))
        return found

    def _rows(self) -> Iterable[Row]:
        """What may have moved a counter since the closing, and all there is of the windows that it did not know."""
        select = f"SELECT {ROW_COLUMNS} FROM requests WHERE workspace_id = ?"  # noqa: S608 - constants
        yield from map(
            Row._make,
            self._cursor.connection.execute(
                f"{select} AND position > ?", (self._workspace_id, self._position)
            ),
        )
        since_us = self._unknown_since_us()
        # A clock that was set back, and accepted, may have dated rows later than the closing after them.
        was_set_back = self._cursor.execute(
            "SELECT 1 FROM settings WHERE name = ?", (f"{CLOCK_ACCEPTED}{self._workspace_id}",)
        ).fetchone()
        is_read = since_us <= self._closed_at_us or (was_set_back and since_us < FOREVER)
        if is_read:
            yield from map(
                Row._make,
                self._cursor.connection.execute(
                    f"{select} AND position <= ? AND admitted_at >= ?",
                    (self._workspace_id, self._position, since_us),
                ),
            )
        for id_ in self._was_open:
            values = self._cursor.connection.execute(
                f"{select} AND id = ?", (self._workspace_id, id_)
            ).fetchone()
            if values is None:
                self._differ(f"request {id_}", "a row, as it was open at the closing", "none")
            elif not is_read or values[3] < since_us:
                yield Row._make(values)  # not among those above

    def _unknown_since_us(self) -> int:
        """The start of the oldest window that the closing did not know."""
        # What runs now was open at the closing too, if it is that old.
        unknown = (
            counter
            for counter in self._expected
            if counter not in self._based and counter.tally.kind.window != "now"
        )
        return min((counter.start_us for counter in unknown), default=FOREVER)

    def _folded(self) -> Iterable[CarryRow]:
        """What was folded and may count in such windows. Of others the closing knows it: it is older."""
        return carry_rows(self._cursor, self._workspace_id, since_us=self._unknown_since_us())

    # ── counting ──────────────────────────────────────────────────────────────────────────────────────────────

    def _check_row(self, row: Row) -> None:
        where = f"request {row.id}"
        is_open = row.state == "reserved"
        if is_open != (row.resolved_position is None):
            self._differ(where, f"{row.state} as its positions say", row.resolved_position)
        elif row.resolved_position is not None and row.resolved_position < row.position:
            self._differ(where, f"resolved after {row.position}", row.resolved_position)
        amounts = (row.held_cost, row.held_input_tokens, row.held_output_tokens, row.images)
        charged = (row.cost or 0, row.input_tokens or 0, row.output_tokens or 0)
        if min(*amounts, *charged) < 0:
            self._differ(where, "at least 0", (*amounts, *charged))

    def _check_folded(self, carried: CarryRow) -> None:
        if min(carried.used) < 0:
            self._differ(carried.as_row.id, "at least 0", carried.used)
        if self._position and carried.position > self._position:
            self._differ(carried.as_row.id, f"all before {self._position}", carried.position)

    def _count(self, row: Row) -> None:
        used, held = vectors_of(row)
        self._add(row, used, held, _any if row.position > self._position else self._is_unbased)
        if row.id in self._was_open:
            used_then, held_then = open_vectors(
                row.held_cost, row.held_input_tokens, row.held_output_tokens, row.images
            )
            self._add(row, used, held, self._is_based)
            # What it counted at the closing is in the closing's sum, unless a reset has ended that.
            self._add(
                row,
                tuple(-value for value in used_then),
                tuple(-value for value in held_then),
                lambda counter: counter in self._based and not self._is_reset_since(counter),
                always=True,
            )

    def _is_based(self, counter: Counter) -> bool:
        return counter in self._based

    def _is_unbased(self, counter: Counter) -> bool:
        return counter not in self._based

    def _add(
        self,
        row: Row,
        used: tuple[int, ...],
        held: tuple[int, ...] | None,
        is_meant: Callable[[Counter], bool],
        *,
        always: bool = False,
    ) -> None:
        covered = (row.model, aliases_of(row.model_aliases), row.endpoint_group)
        for scope_key in (
            (self._workspace_id, "key", row.key_id),
            (self._workspace_id, "member", row.member_id),
            (self._workspace_id, "group", row.group_id),
            (self._workspace_id, "workspace", self._workspace_id),
        ):
            scope = self._scopes.get(scope_key)
            if scope is None:
                continue
            for tally in scope.covering(covered):
                counter = tally.counter_at(row.admitted_at)
                if counter is None or not is_meant(counter):
                    continue
                if not always and not counts_after(row, self._reset_of(counter)):
                    continue
                sums = self._expected[counter]
                sums[0] += used[tally.slot]
                sums[1] += held[tally.slot] if held is not None else 0

    def _reset_of(self, counter: Counter) -> int:
        tally = counter.tally
        if not self._resets:
            return 0
        scope_key = tally.scope_key
        resets = self._resets.get(scope_key)
        return last_reset(tally.kind.window, counter.end_us, resets) if resets else 0

    def _is_reset_since(self, counter: Counter) -> bool:
        return self._reset_of(counter) > self._position

    # ── comparing ─────────────────────────────────────────────────────────────────────────────────────────────

    def _compare_counters(self) -> None:
        for scope in self._scopes.values():
            for tally in scope.tallies.values():
                for counter in tally.counters.values():
                    expected = tuple(self._expected[counter])
                    if expected != (counter.used, counter.held):
                        self._differ(
                            f"counter {_told(counter.key)} (used, held)",
                            expected,
                            (counter.used, counter.held),
                        )

    def _compare_buckets(self, since_us: int) -> None:
        folded = list(carry_rows(self._cursor, self._workspace_id, since_us=0))
        # Of what was folded only the sum over its whole stretch is known.
        while starts := [row.since_us for row in folded if row.since_us < since_us < row.until_us]:
            since_us = min(starts)
        names = "bucket, group_id, member_id, key_id, model, endpoint"
        found: dict[BucketKey, tuple[int, ...]] = {
            (self._workspace_id, *row[:6]): row[6:]
            for row in self._cursor.execute(
                f"SELECT {names}, requests, input_tokens, output_tokens, cached_tokens, cost"  # noqa: S608 - constants
                " FROM usage_buckets WHERE workspace_id = ? AND bucket >= ?",
                (self._workspace_id, since_us),
            ).fetchall()
        }
        self._report.buckets += len(found)
        expected = self._expected_buckets(since_us)
        folded = [row for row in folded if row.since_us >= since_us]
        if folded:
            carried = (
                ((self._workspace_id, row.since_us, *row.names), row.rolled_up) for row in folded
            )
            expected, found = in_stretches(folded, chain(expected.items(), carried), found.items())
        zeros = (0, 0, 0, 0, 0)
        for key in expected.keys() | found.keys():
            if expected.get(key, zeros) != found.get(key, zeros):
                self._differ(
                    f"usage bucket {' '.join(map(str, key[1:]))} (requests, input, output, cached, cost)",
                    expected.get(key, zeros),
                    found.get(key, zeros),
                )

    def _buckets_since_us(self, corrections: list[tuple[Row, int, Vector]]) -> int:
        """From when on roll-ups can have changed since the closing."""
        if not self._position:
            return 0
        since_us = self._closed_at_us
        for id_ in self._was_open:
            row = self._cursor.execute(
                "SELECT admitted_at FROM requests WHERE workspace_id = ? AND id = ?",
                (self._workspace_id, id_),
            ).fetchone()
            since_us = min(since_us, row[0] if row is not None else since_us)
        for row, position, _ in corrections:
            if position > self._position:
                since_us = min(since_us, row.admitted_at)
        return since_us - since_us % BUCKET_US

    def _expected_buckets(self, since_us: int) -> dict[BucketKey, tuple[int, ...]]:
        bucket = f"r.admitted_at - r.admitted_at % {BUCKET_US}"
        names = f"{bucket}, r.group_id, r.member_id, r.key_id, r.model, r.endpoint"
        sums: dict[BucketKey, tuple[int, ...]] = {}
        queries = (
            f"SELECT {names}, count(*), sum(r.input_tokens), sum(r.output_tokens), sum(r.cached_tokens), sum(r.cost)"  # noqa: S608 - constants
            " FROM requests r WHERE r.workspace_id = ? AND r.state = 'settled' AND r.admitted_at >= ?"
            " GROUP BY 1, 2, 3, 4, 5, 6",
            f"SELECT {names}, 0, sum(e.input_tokens), sum(e.output_tokens), 0, sum(e.cost)"  # noqa: S608 - constants
            " FROM entries e JOIN requests r ON r.workspace_id = e.workspace_id AND r.id = e.request_id"
            " WHERE e.workspace_id = ? AND e.kind = 'correction' AND r.admitted_at >= ?"
            " GROUP BY 1, 2, 3, 4, 5, 6",
        )
        for query in queries:
            for row in self._cursor.execute(query, (self._workspace_id, since_us)).fetchall():
                key: BucketKey = (self._workspace_id, *row[:6])
                before = sums.get(key, (0, 0, 0, 0, 0))
                sums[key] = tuple(a + (b or 0) for a, b in zip(before, row[6:], strict=True))
        return sums

    def _differ(self, where: str, expected: object, found: object) -> None:
        self._report.differences.append(Difference(where, expected, found))


def _any(_: Counter) -> bool:
    return True


def _told(key: CounterKey) -> str:
    _, kind, id_, metric, selector, window, start_us = key
    names = f" on {selector}" if selector else ""
    return f"of {kind} {id_}, {metric}{names} per {window} from {start_us}"
