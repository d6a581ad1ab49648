"""What passes between the writer and the ledger: submissions in, answers out, and who handles a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from tuckshop.storage.transaction import Transaction


@dataclass(slots=True, eq=False)
class Submission:
    """One ledger operation on its way through the writer. What the operation is, only the handler knows."""

    operation: Any
    future: asyncio.Future[Any] | None = (
        None  # gets the answer, on its own loop; None: nobody waits
    )
    kept: bool = False  # settles or gives back: never refused, tried again until it is written


# A submission and what comes of it; an exception instance is raised to whoever waits.
Answer: TypeAlias = tuple[Submission, object]


class BatchHandler(Protocol):
    """
    What the ledger does inside the writer's transactions. All of it runs on the writer's thread.

    The order of calls: `load` once at the start (and again when the database had to be reopened); then for every
    transaction `begin`, `apply` as often as needed, `finish`, and last either `committed` or `rolled_back`. Answers go
    out after the commit, or never.

    A submission that gets no answer is parked: the handler holds it and answers it in a later `apply` or `finish`.
    """

    def load(self, transaction: Transaction, unreported: Sequence[Submission]) -> None:
        """
        Read into memory what memory holds, and forget what was there, parked submissions included.

        *unreported*: what was in the batch that failed before the database was reopened. It may or may not have been
        written; those who waited were told that it failed. So what of it reserved must be given back, if it is there
        (nothing was dispatched, M3, M10). What is `kept` comes again by itself.
        """

    def begin(self, transaction: Transaction) -> None:
        """A transaction is open. Remember how memory stood, for `rolled_back`."""

    def apply(self, submissions: Sequence[Submission]) -> Iterable[Answer]:
        """
        Do these, in order. Called with none when nothing arrived, but the time of `wake_at_s` has come.

        A `kept` one may name a request that was never admitted (its reservation was refused): that is no error.
        An exception rolls the whole batch back; it is then tried again in halves, until the one to blame stands alone.
        """

    def finish(self) -> Iterable[Answer]:
        """The last call before the commit: answer what was parked and can be, or waited too long; write through."""

    def committed(self) -> None:
        """It is durable."""

    def rolled_back(self) -> None:
        """
        Nothing of it happened: put memory back to where `begin` found it.

        Submissions parked since then are the writer's again (tried again or refused); those that were parked before
        and answered since are parked again.
        """

    def wake_at_s(self) -> float | None:
        """When (monotonic seconds) `apply` should be called though nothing arrives; None: never."""

    def is_waited_for(self) -> bool:
        """Whether something is parked, for which what comes may make room. May be asked from any thread."""

    def abandon(self) -> Sequence[Submission]:
        """Nothing can be admitted now: hand back everything that is parked, to be refused."""
