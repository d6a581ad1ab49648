"""
The ledger's face for asyncio: reserve, settle, void. The promises hold across tasks, processes and crashes.

All of it is decided and written by the `Engine`, on the writer's thread; here is only the waiting. A reservation is
answered after the commit that holds it (M3). A settlement is handed over and nobody waits for it, so that it happens
outside of whatever its request is cancelled with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ServerBusyError
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.reservation import (
    Amounts,
    Granted,
    Hold,
    LimitInForce,
    LimitState,
    RefusedRow,
    Scope,
    Settlement,
    Void,
)
from tuckshop.ledger import corrections, folding, forgetting, grants, resets
from tuckshop.ledger.engine import Engine
from tuckshop.ledger.grants import GrantsOfMember
from tuckshop.ledger.operations import (
    Correction,
    Operation,
    PinPrice,
    ReleaseAll,
    Reserve,
    Resolved,
    SumDays,
    TakeSums,
    Withdraw,
    WriteNotes,
)
from tuckshop.ledger.sums import Unsummed, sum_in_snapshot
from tuckshop.storage.database import Database
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)


class Ledger:
    """Where reservations live. Belongs to one event loop."""

    def __init__(self, writer: Writer, engine: Engine, database: Database, clock: Clock) -> None:
        """*engine* is the handler that *writer* was made with."""
        self._writer = writer
        self._engine = engine
        self._database = database
        self._clock = clock
        self._pinned: set[str] = set()
        self._sums: dict[Unsummed, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # ── the life of a reservation ─────────────────────────────────────────────────────────────────────────────

    async def reserve(self, hold: Hold) -> Granted:
        """
        Take the hold's fixed part plus the largest output cap that fits every limit, or nothing (M1, M2).

        Waits while running calls hold what is missing, in order of arrival, at most `hold.patience_s`. Returns after
        the commit (M3). When the awaiting task is cancelled, nothing stays reserved (M15).

        Raises:
            RefusalError: Of the limit that takes longest to have room again; or the ledger cannot admit now.
            StaleDirectoryError: The directory changed since the call was identified. Reserving again with the same
                request id keeps the place in the queue.
            RoughBoundError: It does not fit as asked for, and might with an input counted exactly. Likewise.
        """
        operation = Reserve(hold, self._clock.monotonic_s())
        while True:
            future = self._new_future()
            self._writer.submit(operation, future=future)
            try:
                answer = await future
            except asyncio.CancelledError:
                self._hand_over(Withdraw(hold.workspace_id, hold.request_id))
                raise
            if isinstance(answer, Granted):
                return answer
            assert isinstance(answer, Unsummed)
            await self._sum(answer)

    def settle(self, settlement: Settlement) -> None:
        """Replace what is held by what was used; committed soon. Repeating it changes nothing (M6)."""
        self._hand_over(settlement, may_ride=True)

    def void(self, void: Void) -> None:
        """Give all of it back; committed soon. Repeating it changes nothing (M6)."""
        self._hand_over(void, may_ride=True)

    async def resolved(self, resolution: Settlement | Void) -> Resolved | None:
        """
        Settle or void, and wait for the commit.

        Returns:
            How the reservation ended: by the first resolution, whichever that was (M6). None: there never was one.
        """
        future = self._new_future()
        self._writer.submit(resolution, future=future, kept=True)
        answer = await future
        assert answer is None or isinstance(answer, Resolved)
        return answer

    async def correct(
        self,
        request_id: str,
        true: Amounts,
        *,
        actor: Actor,
        reason: str,
        workspace_id: str = DEFAULT_WORKSPACE,
    ) -> Correction:
        """
        Post what a settled call really used, as a row of its own (M7, R3).

        Raises:
            NotFoundError: No such request.
            ConflictError: It is not settled, or the system corrected it before (at most once).
        """
        return await self._writer.transact(
            lambda transaction: self.correct_in(
                transaction, request_id, true, actor=actor, reason=reason, workspace_id=workspace_id
            )
        )

    def correct_in(
        self,
        transaction: Transaction,
        request_id: str,
        true: Amounts,
        *,
        actor: Actor,
        reason: str,
        workspace_id: str = DEFAULT_WORKSPACE,
    ) -> Correction:
        """`correct`, inside a change that is being made. On the writer's thread."""
        return corrections.correct(
            self._engine,
            transaction,
            workspace_id=workspace_id,
            request_id=request_id,
            true=true,
            actor=actor,
            reason=reason,
        )

    # ── beside it ─────────────────────────────────────────────────────────────────────────────────────────────

    def refuse(self, row: RefusedRow) -> None:
        """Note a refusal of a known key; repeats within a second share one row."""
        self._hand_over(row, kept=False, may_ride=True)

    def pin_price(self, price_id: str, content: str) -> None:
        """Keep the price that a hold is computed with (M11). Before the `reserve` that names it."""
        if price_id not in self._pinned:
            self._hand_over(PinPrice(price_id, content))
            self._pinned.add(price_id)

    async def states(self, limits: Sequence[LimitInForce]) -> list[LimitState]:
        """How *limits* stand at this moment, in their order."""
        while True:
            found = await self._writer.transact(
                lambda transaction: self._engine.states(transaction, limits)
            )
            if not isinstance(found, Unsummed):
                return found
            await self._sum(found)

    async def reset(
        self,
        scopes: Sequence[Scope],
        actor: Actor,
        *,
        with_total: bool = False,
        workspace_id: str = DEFAULT_WORKSPACE,
    ) -> None:
        """Start the running windows of *scopes* at 0 plus what running calls hold."""
        await self._writer.transact(
            lambda transaction: self.reset_in(
                transaction, scopes, actor, with_total=with_total, workspace_id=workspace_id
            )
        )

    def reset_in(
        self,
        transaction: Transaction,
        scopes: Sequence[Scope],
        actor: Actor,
        *,
        with_total: bool = False,
        workspace_id: str = DEFAULT_WORKSPACE,
    ) -> None:
        """`reset`, inside a change that is being made. On the writer's thread."""
        resets.reset(
            self._engine,
            transaction,
            workspace_id=workspace_id,
            scopes=scopes,
            actor=actor,
            with_total=with_total,
        )

    def grant_in(
        self,
        transaction: Transaction,
        member_ids: Sequence[str],
        actor: Actor,
        *,
        amount_nano: int,
        until_us: int | None,
        reason: str | None,
        workspace_id: str = DEFAULT_WORKSPACE,
    ) -> list[str]:
        """
        Add money to the money limits of each of these members, inside a change that is being made.

        On the writer's thread.

        Returns:
            The ids of the grants.
        """
        return grants.grant(
            self._engine,
            transaction,
            workspace_id=workspace_id,
            member_ids=member_ids,
            amount_nano=amount_nano,
            until_us=until_us,
            actor=actor,
            reason=reason,
        )

    async def grants(
        self,
        member_id: str,
        limits: Sequence[LimitInForce],
        *,
        workspace_id: str = DEFAULT_WORKSPACE,
    ) -> GrantsOfMember:
        """The grants of a member, and what is left of them for each of *limits*."""
        while True:
            found = await self._writer.transact(
                lambda transaction: grants.grants_of(
                    self._engine,
                    transaction,
                    workspace_id=workspace_id,
                    member_id=member_id,
                    limits=limits,
                )
            )
            if not isinstance(found, Unsummed):
                return found
            await self._sum(found)

    def forget_kinds(
        self, transaction: Transaction, *, workspace_id: str = DEFAULT_WORKSPACE
    ) -> None:
        """
        Drop the counters of kinds that no limit uses any more. On the writer's thread, after limits were changed.

        Only to save room: a kind that comes back is summed from the rows.
        """
        resets.forget_kinds(self._engine, transaction, workspace_id=workspace_id)

    async def fold(self, group_id: str, *, workspace_id: str = DEFAULT_WORKSPACE) -> int:
        """
        Fold a bounded number of a group's oldest rows, if they are older than its `log_days`.

        Returns:
            How many it were; fewer than `folding.BATCH_ROWS`: there are no more for now.
        """
        return await self._writer.transact(
            lambda transaction: folding.fold(
                transaction, workspace_id=workspace_id, group_id=group_id
            )
        )

    async def forget_networks(self, *, workspace_id: str = DEFAULT_WORKSPACE) -> int:
        """
        Take from a bounded number of rows the network that they came from, if they are two weeks old (P12).

        Returns:
            How many it were; fewer than `forgetting.BATCH_ROWS`: there are no more for now.
        """
        return await self._writer.transact(
            lambda transaction: forgetting.forget_networks(transaction, workspace_id=workspace_id)
        )

    async def flush(self) -> None:
        """Wait until everything handed over before is committed."""
        self._hand_over(WriteNotes())
        await self._writer.flush()

    async def sum_days(self) -> bool:
        """
        Take a step with the day sums that long reports are read from.

        Returns:
            Whether there may be more to do.
        Raises:
            ServerBusyError: Nothing can be written now.
        """
        future = self._new_future()
        self._writer.submit(SumDays(), future=future)
        return bool(await future)

    async def release_all(self) -> None:
        """Refuse everybody who waits in `reserve`: the server is stopping."""
        future = self._new_future()
        self._writer.submit(ReleaseAll(), future=future, kept=True)
        await future

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────

    def _new_future(self) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    def _hand_over(
        self, operation: Operation, *, kept: bool = True, may_ride: bool = False
    ) -> None:
        try:
            self._writer.submit(operation, kept=kept, may_ride=may_ride)
        except ServerBusyError as error:
            # A refusal's row may be lost. A resolution that comes after the end is charged at its bound by the next
            # start (R1), so money is not.
            level = logging.ERROR if isinstance(operation, Settlement | Void) else logging.DEBUG
            _log.log(level, "%s was not taken: %s", type(operation).__name__, error.reason)

    async def _sum(self, unsummed: Unsummed) -> None:
        """Sum counters that nobody used before, off the writer; once, however many wait for it."""
        task = self._sums.get(unsummed)
        if task is None:
            task = spawn(self._sum_now(unsummed), name="sum counters", tasks=self._tasks)
            self._sums[unsummed] = task
            task.add_done_callback(lambda _: self._sums.pop(unsummed, None))
        await asyncio.shield(task)

    async def _sum_now(self, unsummed: Unsummed) -> None:
        summed = await asyncio.to_thread(sum_in_snapshot, self._database, unsummed)
        future = self._new_future()
        self._writer.submit(TakeSums(summed), future=future)
        await future
