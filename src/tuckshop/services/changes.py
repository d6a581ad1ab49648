"""
How staff change things: one transaction with its audit rows, and the directory brought up to date before it returns.

The work runs on the writer's thread and may run twice, so it changes nothing but the database. A caller that is
cancelled (its client left) leaves the change running: what was committed must reach the directory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import TuckshopError
from tuckshop.domain.ids import Prefix, new_id
from tuckshop.services.directory import Directory
from tuckshop.services.personal import audit_place, closed
from tuckshop.storage.directory import DirectoryRows, load_some
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer
from tuckshop.tasks import spawn

T = TypeVar("T")


class Edit:
    """One change while it is being made: the transaction, who makes it, and what it touched."""

    def __init__(
        self,
        transaction: Transaction,
        workspace_id: str,
        actor: Actor,
        person_keys: PersonKeys,
    ) -> None:
        self.person_keys = person_keys
        self.transaction = transaction
        self.workspace_id = workspace_id
        self.actor = actor
        self.touched: set[str] = set()
        self._born = 0

    def new_id(self, prefix: Prefix) -> str:
        """An id for what this change makes; ids sort in the order they were given."""
        self._born += 1
        return new_id(prefix, self.now_us + self._born)

    @property
    def connection(self) -> Connection:
        """For SQL inside the transaction."""
        return self.transaction.connection

    @property
    def now_us(self) -> int:
        """The transaction's time."""
        return self.transaction.now_us

    def touch(self, object_id: str) -> None:
        """Say that a group, member, key or token changed."""
        self.touched.add(object_id)

    def audit(
        self,
        action: str,
        object_id: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
    ) -> None:
        """
        Write down what was done (K16). Ids and policy only: no secrets, no names.

        A text that may tell of a person is wrapped as `Personal`, and closed with that person's key (P8).
        """
        place = audit_place(self.workspace_id)
        self.transaction.audit(
            self.actor,
            action,
            object_id,
            closed(before, self.person_keys, place=place),
            closed(after, self.person_keys, place=place),
            workspace_id=self.workspace_id,
        )

    def alter(
        self,
        table: Table,
        action: str,
        before: Mapping[str, Any],
        after: Mapping[str, object],
        *,
        audited: Callable[[Mapping[str, object]], dict[str, object]],
    ) -> dict[str, object]:
        """
        Make the row *before* of *table* say *after*, with its audit row; nothing where it says so already.

        Args:
            audited: What an audit row may show of columns.
        Returns:
            The columns that changed.
        """
        changed = {name: value for name, value in after.items() if before[name] != value}
        if changed:
            self.connection.execute(
                update(table)
                .where(table.c.workspace_id == self.workspace_id, table.c.id == before["id"])
                .values(changed)
            )
            old = {name: before[name] for name in changed}
            self.audit(action, before["id"], audited(old), audited(changed))
            self.touch(before["id"])
        return changed


@dataclass(frozen=True, slots=True)
class _Refused:
    error: TuckshopError


class Changes:
    """Makes changes, one transaction each."""

    def __init__(self, writer: Writer, directory: Directory, person_keys: PersonKeys) -> None:
        self._writer = writer
        self._directory = directory
        self._person_keys = person_keys
        self._tasks: set[asyncio.Task[Any]] = set()

    async def make(self, actor: Actor, work: Callable[[Edit], T]) -> T:
        """
        Run *work* in a transaction of its own and bring the directory up to date.

        Raises:
            Whatever *work* raised; then nothing was changed.
            ServerBusyError: It cannot be written now.
        """
        task = spawn(self._make(actor, work), name="change", tasks=self._tasks)
        made = await asyncio.shield(task)
        if isinstance(made, _Refused):
            raise made.error
        return made

    async def close(self) -> None:
        """Wait for changes whose callers left."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _make(self, actor: Actor, work: Callable[[Edit], T]) -> T | _Refused:
        workspace_id = self._directory.workspace.id

        def in_transaction(transaction: Transaction) -> tuple[T, DirectoryRows | None]:
            edit = Edit(transaction, workspace_id, actor, self._person_keys)
            result = work(edit)
            if not edit.touched:
                return result, None
            version = transaction.touch_directory(workspace_id, edit.touched)
            return result, load_some(transaction.connection, workspace_id, version, edit.touched)

        try:
            result, rows = await self._writer.transact(in_transaction)
        except TuckshopError as error:
            return _Refused(
                error
            )  # for the caller to hear, if it is still there; not a failure of the task
        if rows is not None:
            self._directory.apply(rows)
        return result
