"""
The ledger's engine: applies a batch of reservations and resolutions inside the writer's transaction.

Runs on the writer's thread alone. The books hold what is known, the waiting room who waits; here is the order of
things. A reservation is answered by the writer after the commit, so whatever is answered here is durable by then (M3).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import (
    RoughBoundError,
    ServerBusyError,
    StaleDirectoryError,
)
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.reservation import (
    Amounts,
    Granted,
    Hold,
    LimitInForce,
    LimitState,
    Outcome,
    RefusedRow,
    ReservationState,
    Settlement,
    Void,
)
from tuckshop.domain.watch import Ended, Unwatched, Watch
from tuckshop.ledger import recovery, store
from tuckshop.ledger.admission import Admission, Attempt, Blocked
from tuckshop.ledger.books import Books
from tuckshop.ledger.closings import ClosingTimes
from tuckshop.ledger.notes import RefusalNotes
from tuckshop.ledger.open_rows import OpenRow
from tuckshop.ledger.operations import (
    PinPrice,
    ReleaseAll,
    Reserve,
    Resolved,
    SumDays,
    TakeSums,
    Withdraw,
    WriteNotes,
)
from tuckshop.ledger.refusals import state_of
from tuckshop.ledger.sums import Unsummed, catch_up
from tuckshop.ledger.waiting import Waiter, WaitingRoom
from tuckshop.storage.batch import Answer, Submission
from tuckshop.storage.transaction import Transaction

_log: Final = logging.getLogger(__name__)

WAITING_MAX: Final = 10_000
_NOTHING: Final = Amounts()
_GUESSED: Final = frozenset({"unconfirmed", "estimated"})


class Engine:
    """`storage.batch.BatchHandler`."""

    def __init__(
        self,
        clock: Clock,
        *,
        boot_id: str,
        waiting_max: int = WAITING_MAX,
        watch: Watch | None = None,
    ) -> None:
        """*boot_id*: who owns the reservations made here; a new one at every start."""
        self._watch = watch or Unwatched()
        self._ended: list[Ended] = []  # in this transaction
        self._overruns = self._unconfirmed = 0
        self.books = Books()
        self.boot_id = boot_id
        self._clock = clock
        self._waiting_max = waiting_max
        self._room = WaitingRoom()
        self._admission = Admission(self.books, self._room, boot_id)
        self._notes = RefusalNotes(boot_id)
        self._closings = ClosingTimes()
        self._granted: list[str] = []  # in this transaction
        self._undone: set[str] = set()  # granted in transactions that failed, and not again since
        self._is_loaded = False  # and no transaction was begun since
        self._versions: dict[
            str, int
        ] = {}  # of the directories that those who wait were identified with

    # ── the writer's calls ────────────────────────────────────────────────────────────────────────────────────

    def load(self, transaction: Transaction, unreported: Sequence[Submission]) -> None:
        """Settle what earlier boots left open (R1), give back what was never reported, and start from there."""
        self._room.clear()
        self._notes.clear()
        self.books.drop()
        self.books.begin(transaction)
        left = recovery.settle_leftovers(self.books, self.boot_id)
        if left:
            self._watch.alarm("unconfirmed", left)
        never_told = self._undone.union(
            submission.operation.hold.request_id
            for submission in unreported
            if isinstance(submission.operation, Reserve)
        )
        recovery.give_back(self.books, never_told)
        self._is_loaded = True
        self._closings.load(transaction)

    def begin(self, transaction: Transaction) -> None:
        """A transaction is open."""
        if self._is_loaded:  # and that was committed
            self._is_loaded = False
            self._undone.clear()
        self._granted.clear()
        self._forget_ended()
        self._room.begin()
        self._notes.begin()
        self.books.begin(transaction)
        if self._closings.are_due(transaction.now_us):
            self._closings.take(transaction)
            self.books.drop_counters()  # those of windows long past are gone

    def apply(self, submissions: Sequence[Submission]) -> Iterable[Answer]:
        """Do these, in order."""
        answers: list[Answer] = []
        books = self.books
        books.counters.is_watched = bool(self._room.waiters)
        books.keep_time()  # an admin's change earlier in this transaction may have accepted another
        for submission in submissions:
            operation = submission.operation
            answer: object
            if isinstance(operation, Reserve):
                answer = self._reserve(operation, submission)
                if answer is None:
                    books.counters.is_watched = True
                    continue
            elif isinstance(operation, Settlement):
                answer = self._settle(operation)
            elif isinstance(operation, Void):
                answer = self._void(operation)
            else:
                answer = self._do(operation, answers)
            answers.append((submission, answer))
        if books.counters.freed:
            self._wake(answers)
        books.flush()
        return answers

    def finish(self) -> Iterable[Answer]:
        """Answer those who waited and can go on, or waited too long."""
        answers: list[Answer] = []
        if self._room.waiters:
            self.books.counters.is_watched = True
            self._send_back_stale(answers)
            self._look_after_due(answers)
            self._wake(answers)
        else:
            self._versions.clear()
            self.books.counters.freed.clear()
        self._notes.write_due(self.books.transaction, self._clock.monotonic_s())
        self.books.flush()
        return answers

    def committed(self) -> None:
        """It is durable."""
        self._room.begin()
        self._undone.difference_update(self._granted)
        if self._ended:
            self._watch.ended(self._ended)
            if self._overruns:
                self._watch.alarm("overrun", self._overruns)
            if self._unconfirmed:
                self._watch.alarm("unconfirmed", self._unconfirmed)
            self._forget_ended()

    def rolled_back(self) -> None:
        """Nothing of it happened."""
        self.books.drop()
        self.books.counters.freed.clear()
        self._room.undo()
        self._notes.undo()
        self._closings.undo()
        self._undone.update(self._granted)

    @property
    def waiting(self) -> int:
        """How many calls wait. May be asked from any thread."""
        return len(self._room.waiters)

    @property
    def open_reservations(self) -> int:
        """How many calls hold something. May be asked from any thread."""
        return len(self.books.open)

    def wake_at_s(self) -> float | None:
        """When somebody has waited long enough, or a note is to be written."""
        times = [at for at in (self._room.next_wake_s(), self._notes.due_s) if at is not None]
        return min(times, default=None)

    def is_waited_for(self) -> bool:
        """Whether some call waits for room."""
        return bool(self._room.waiters)

    def abandon(self) -> Sequence[Submission]:
        """Hand back everybody who waits."""
        return [waiter.submission for waiter in self._room.clear()]

    # ── for changes that staff make ───────────────────────────────────────────────────────────────────────────

    def states(
        self,
        transaction: Transaction,
        limits: Sequence[LimitInForce],
        *,
        workspace_id: str = DEFAULT_WORKSPACE,
    ) -> list[LimitState] | Unsummed:
        """How *limits* stand; or what has to be summed before that can be told."""
        self.join(transaction)
        tallies = self.books.tallies_of(limits, workspace_id, None)
        if isinstance(tallies, Unsummed):
            return tallies
        self.books.flush()
        now_us, lifts = transaction.now_us, self.books.lifts
        return [
            state_of(
                limit,
                tally,
                now_us,
                lifts.look(limit, tally).amount if lifts.concern(limit, workspace_id) else 0,
            )
            for limit, tally in zip(limits, tallies, strict=True)
        ]

    def join(self, transaction: Transaction) -> None:
        """Take part in a change: if it is rolled back alone, what memory says of counters is dropped."""
        transaction.on_undo(self.books.undo)
        self.books.counters.is_watched = bool(self._room.waiters)

    # ── operations ────────────────────────────────────────────────────────────────────────────────────────────

    def _reserve(self, operation: Reserve, submission: Submission) -> object | None:
        """The answer; None: it waits."""
        hold = operation.hold
        future = submission.future
        if future is not None and future.cancelled():
            return None  # its withdrawal is on the way
        if not self._is_current(hold):
            return StaleDirectoryError()
        waiter = self._room.newcomer(hold, submission, operation.arrived_s)
        answer = self._attempt(waiter)
        if isinstance(answer, RoughBoundError):
            self._room.keep_place(waiter)
        if not isinstance(answer, Blocked):
            return answer
        if self._clock.monotonic_s() >= waiter.deadline_s:
            return self._admission.refusal(answer)
        if len(self._room.waiters) >= self._waiting_max:
            return ServerBusyError("too many requests are waiting", retry_after_s=1)
        version = self.books.transaction.directory_version(hold.workspace_id)
        self._versions.setdefault(hold.workspace_id, version)
        self._stand(waiter, answer)
        return None

    def _is_current(self, hold: Hold) -> bool:
        """Is who calls, and by which policy, still as it was identified?"""
        return self.books.transaction.still_stands(
            hold.workspace_id,
            hold.directory_version,
            (hold.key_id, hold.member_id, hold.group_id),
        )

    def _settle(self, operation: Settlement) -> Resolved | None:
        row = self.books.open.get(operation.request_id)
        if row is None:
            return self._first_resolution(operation.request_id, ReservationState.SETTLED)
        self._overruns += _report_overrun(row, operation.charged)
        self._unconfirmed += "unconfirmed" in operation.flags
        self._note_end(row, operation, operation.charged, operation.cached_tokens)
        position = self.books.close(
            row,
            ReservationState.SETTLED,
            charged=operation.charged,
            cached_tokens=operation.cached_tokens,
            outcome=operation.outcome,
            flags=operation.flags,
        )
        return Resolved(
            request_id=row.id,
            state=ReservationState.SETTLED,
            charged=operation.charged,
            position=position,
            is_first=True,
        )

    def _void(self, operation: Void) -> Resolved | None:
        row = self.books.open.get(operation.request_id)
        if row is None:
            return self._first_resolution(operation.request_id, operation.state)
        self._note_end(row, operation, _NOTHING, 0)
        position = self.books.close(
            row,
            operation.state,
            charged=None,
            cached_tokens=0,
            outcome=operation.outcome,
            flags=operation.flags,
        )
        return Resolved(
            request_id=row.id,
            state=operation.state,
            charged=Amounts(),
            position=position,
            is_first=True,
        )

    def _note_end(
        self, row: OpenRow, resolution: Settlement | Void, charged: Amounts, cached_tokens: int
    ) -> None:
        model, _, endpoint_group = row.covered
        self._ended.append(
            Ended(
                endpoint_group,
                model,
                resolution.outcome.http_status,
                charged.input_tokens,
                cached_tokens,
                charged.output_tokens,
                charged.cost_nano,
                isinstance(resolution, Settlement),
                not _GUESSED.isdisjoint(resolution.flags),
            )
        )

    def _forget_ended(self) -> None:
        self._ended.clear()
        self._overruns = self._unconfirmed = 0

    def _first_resolution(self, request_id: str, asked: ReservationState) -> Resolved | None:
        """A resolution came again, or in the wrong order: nothing changes, the first one stands (M6)."""
        self.books.flush()
        cursor = self.books.transaction.cursor
        for (workspace_id,) in cursor.execute("SELECT id FROM workspaces").fetchall():
            found = cursor.execute(store.RESOLUTION, (workspace_id, request_id)).fetchone()
            if found is None:
                continue
            state, position, cost, input_tokens, output_tokens, images = found
            is_voided = state != ReservationState.SETTLED
            if state != asked:
                _log.warning(
                    "%s is %s and stays so, though now it was %s", request_id, state, asked
                )
            return Resolved(
                request_id=request_id,
                state=ReservationState(state),
                charged=Amounts()
                if is_voided
                else Amounts(
                    cost_nano=cost,
                    input_tokens=input_tokens,
                    output_tokens=output_tokens,
                    images=images,
                ),
                position=position,
                is_first=False,
            )
        return None

    def _do(self, operation: object, answers: list[Answer]) -> object:
        transaction = self.books.transaction
        if isinstance(operation, Withdraw):
            self._withdraw(operation)
        elif isinstance(operation, RefusedRow):
            self._notes.note(transaction, operation, self._clock.monotonic_s())
        elif isinstance(operation, PinPrice):
            transaction.cursor.execute(
                store.PIN_PRICE, (operation.price_id, operation.content, transaction.now_us)
            )
        elif isinstance(operation, TakeSums):
            self.books.flush()
            summer = catch_up(transaction.cursor, operation.summed)
            if summer is not None:
                self.books.counters.install(
                    operation.summed.unsummed.scope_key, summer, is_stored=True
                )
        elif isinstance(operation, WriteNotes):
            self._notes.write(transaction)
        elif isinstance(operation, SumDays):
            return self.books.day_sums.advance(transaction)
        elif isinstance(operation, ReleaseAll):
            for waiter in list(self._room.waiters.values()):
                self._room.leave(waiter)
                answers.append((waiter.submission, ServerBusyError("shutting down")))
        else:
            raise TypeError(f"{type(operation).__name__} is no operation of the ledger")
        return None

    def _withdraw(self, operation: Withdraw) -> None:
        waiter = self._room.waiters.get(operation.request_id)
        if waiter is not None:
            self._leave(waiter)
        elif operation.request_id in self.books.open:
            outcome = Outcome(http_status=None, error="client_left")
            self._void(
                Void(
                    request_id=operation.request_id,
                    outcome=outcome,
                    flags=frozenset({"client_left"}),
                )
            )

    # ── waiting ───────────────────────────────────────────────────────────────────────────────────────────────

    def _attempt(self, waiter: Waiter) -> Attempt:
        waited_s = max(0.0, self._clock.monotonic_s() - waiter.arrived_s)
        answer = self._admission.attempt(waiter.hold, ticket=waiter.ticket, waited_s=waited_s)
        if isinstance(answer, Granted):
            self._granted.append(answer.request_id)
        return answer

    def _stand(self, waiter: Waiter, blocked: Blocked) -> None:
        self._room.stand(waiter, blocked.keys)
        if blocked.look_again_us is not None:
            ahead_us = blocked.look_again_us - self.books.transaction.now_us
            at_s = self._clock.monotonic_s() + ahead_us / 1_000_000
            if at_s < waiter.deadline_s:
                self._room.wake_at(waiter, at_s)

    def _leave(self, waiter: Waiter) -> None:
        """*waiter* goes; those behind it may have their turn."""
        self.books.counters.freed.update(waiter.keys)
        self._room.leave(waiter)

    def _retry(self, waiter: Waiter) -> object | None:
        """The answer to one who waits, who then leaves; None: it waits on, maybe for something else."""
        answer = self._attempt(waiter)
        if isinstance(answer, Blocked):
            if self._clock.monotonic_s() < waiter.deadline_s:
                self._stand(waiter, answer)
                return None
            refusal = self._admission.refusal(answer)
            self._leave(waiter)
            return refusal
        if isinstance(answer, Unsummed | RoughBoundError):
            self._room.keep_place(waiter)
        self._leave(waiter)
        return answer

    def _wake(self, answers: list[Answer]) -> None:
        """Give everybody their turn for whom room was made."""
        freed = self.books.counters.freed
        while freed:
            key = freed.pop()
            while (waiter := self._room.first(key)) is not None:
                answer = self._retry(waiter)
                if answer is not None:
                    answers.append((waiter.submission, answer))
                elif self._room.first(key) is waiter:
                    break

    def _look_after_due(self, answers: list[Answer]) -> None:
        for waiter in self._room.due(self._clock.monotonic_s()):
            if waiter.hold.request_id in self._room.waiters:
                answer = self._retry(waiter)
                if answer is not None:
                    answers.append((waiter.submission, answer))

    def _send_back_stale(self, answers: list[Answer]) -> None:
        """The directory changed: who waits is identified again, and keeps its place meanwhile."""
        for workspace_id, seen in list(self._versions.items()):
            version = self.books.transaction.directory_version(workspace_id)
            if version == seen:
                continue
            self._versions[workspace_id] = version
            for waiter in list(self._room.waiters.values()):
                hold = waiter.hold
                if hold.workspace_id == workspace_id and not self._is_current(hold):
                    self._room.keep_place(waiter)
                    self._leave(waiter)
                    answers.append((waiter.submission, StaleDirectoryError()))


def _report_overrun(row: OpenRow, charged: Amounts) -> bool:
    is_overrun = charged.cost_nano > row.held_cost
    if is_overrun:
        _log.error(
            "ALARM: overrun: %s was charged %d nano-USD, %d were held",
            row.id,
            charged.cost_nano,
            row.held_cost,
        )
    return is_overrun
