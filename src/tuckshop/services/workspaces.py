"""The workspace: what holds over all groups together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import ConflictError
from tuckshop.domain.moderation import NO_MODERATION
from tuckshop.domain.records import Workspace
from tuckshop.ledger.ledger import Ledger
from tuckshop.services import checking, fields
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import Columns
from tuckshop.services.groups import UNMASK
from tuckshop.services.shapes.standing import LimitStanding
from tuckshop.services.shapes.workspace import WorkspaceChange, WorkspaceShape
from tuckshop.services.standing import limits_of_workspace, standings_of
from tuckshop.services.versions import Expected
from tuckshop.storage.rows import workspace_of
from tuckshop.storage.schema import workspaces


class Workspaces:
    """What the operator does with the workspace."""

    def __init__(self, changes: Changes, directory: Directory, ledger: Ledger) -> None:
        self._changes = changes
        self._directory = directory
        self._ledger = ledger

    async def get(self, actor: Actor) -> WorkspaceShape:
        """The policy over all groups, with its limits in force."""
        await self._ledger.flush()
        workspace = self._directory.workspace
        chains = [limits_of_workspace(workspace)]
        (in_force,) = await standings_of(self._ledger, chains, actor)
        return _shape(workspace, in_force)

    async def change(
        self, actor: Actor, change: WorkspaceChange, *, expected: Expected | None = None
    ) -> WorkspaceShape:
        """
        Change any part of it. The next call of anybody goes by the change.

        Raises:
            InvalidFieldsError: Fields that cannot be taken; then nothing is changed.
            ConflictError: It would end pseudonyms, for which there has to be a reason.
            StaleVersionError: It is another version than *expected*.
        """
        columns = Columns()
        columns.set("limits", change.limits, fields.limits, unset="[]")
        columns.set("models", change.models, fields.models)
        columns.set("endpoints", change.endpoints, fields.endpoints)
        columns.set("max_output_tokens", change.max_output_tokens, fields.same)
        columns.set("moderation", change.moderation, checking.column_of)
        columns.set("pseudonyms", change.pseudonyms, fields.same, unset=False)
        after = columns.check()
        checking.check_offered(change.moderation, None, self._directory.upstreams())

        def work(edit: Edit) -> None:
            before = _row(edit)
            if expected is not None:
                expected.check(edit, _shape(workspace_of(before), []), edit.workspace_id)
            if before["pseudonyms"] and not after.get("pseudonyms", True):
                raise ConflictError(UNMASK)
            changed = {name: value for name, value in after.items() if before[name] != value}
            if not changed:
                return
            edit.connection.execute(
                update(workspaces).where(workspaces.c.id == edit.workspace_id).values(changed)
            )
            old = {name: before[name] for name in changed}
            edit.audit("workspace.change", edit.workspace_id, old, changed)
            edit.touch(edit.workspace_id)
            if "limits" in changed:
                self._ledger.forget_kinds(edit.transaction)

        await self._changes.make(actor, work)
        return await self.get(actor)


def _row(edit: Edit) -> Mapping[str, Any]:
    query = select(workspaces).where(workspaces.c.id == edit.workspace_id)
    return dict(edit.connection.execute(query).mappings().one())


def _shape(workspace: Workspace, in_force: list[LimitStanding]) -> WorkspaceShape:
    return WorkspaceShape(
        limits=[str(limit) for limit in workspace.limits],
        models=None if workspace.models is None else list(workspace.models),
        endpoints=None if workspace.endpoints is None else list(workspace.endpoints),
        max_output_tokens=workspace.max_output_tokens,
        moderation=workspace.moderation or NO_MODERATION,
        pseudonyms=workspace.pseudonyms,
        time_zone=workspace.zone.current,
        in_force=in_force,
    )
