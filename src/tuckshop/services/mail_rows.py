"""Single mails: found, changed, and shown as much of them as whoever looks may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import Connection, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import NotFoundError
from tuckshop.domain.pseudonyms import pseudonym_of
from tuckshop.mailing.smtp import code_in
from tuckshop.services.changes import Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.mail_queue import MailQueue
from tuckshop.services.shapes.mails import MailShape
from tuckshop.storage.schema import mails

_TOLD_HIDDEN: Final = "not shown: the group hides who its members are"


class MailRows:
    """What is known of single mails."""

    def __init__(self, directory: Directory, queue: MailQueue) -> None:
        self._directory = directory
        self._queue = queue

    def row(self, connection: Connection, actor: Actor, mail_id: str) -> Mapping[str, Any]:
        """
        One that the actor sees.

        Raises:
            NotFoundError: There is none.
        """
        row = self._queue.row(connection, mail_id)
        if row is None or not (actor.groups is None or actor.sees(row["group_id"] or "")):
            raise NotFoundError(f"There is no mail {mail_id!r}.")
        return row

    def set(self, edit: Edit, row: Mapping[str, Any], action: str, **values: object) -> None:
        """Change it, with a row of the audit trail."""
        edit.connection.execute(
            update(mails)
            .where(mails.c.workspace_id == edit.workspace_id, mails.c.id == row["id"])
            .values(values)
        )
        edit.audit(
            action,
            row["member_id"] or row["id"],
            {"mail": row["id"], "state": row["state"]},
            {"state": values["state"]},
        )

    async def shape_of(self, actor: Actor, mail_id: str) -> MailShape:
        """One that the actor sees, as it is shown."""
        return await self._queue.read(
            lambda connection: self.shape(self.row(connection, actor, mail_id))
        )

    def shape(self, row: Mapping[str, Any]) -> MailShape:
        """As it is shown: where a group hides who its members are, without what tells it."""
        shape = _shape(row)
        if shape.member is None or not self._directory.hides_names(str(shape.group)):
            return shape
        # A mail server tells the address it would not have, so of its words only the code is shown.
        told = None if shape.told is None else code_in(shape.told) or _TOLD_HIDDEN
        return replace(shape, to=pseudonym_of(shape.member), told=told)


def _shape(row: Mapping[str, Any]) -> MailShape:
    def at(us: int | None) -> str | None:
        return None if us is None else rfc3339(us)

    return MailShape(
        id=row["id"],
        kind=row["kind"],
        group=row["group_id"],
        member=row["member_id"],
        to=row["recipient"],
        state=row["state"],
        attempts=row["attempts"],
        queued_at=rfc3339(row["queued_at"]),
        due_at=at(row["due_at"]) if row["state"] == "queued" else None,
        tried_at=at(row["tried_at"]),
        told=row["told"],
    )
