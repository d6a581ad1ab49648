"""Who is mailed of notices: addresses of a group's staff, and those that are told of all groups."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, insert, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import InvalidFieldError, InvalidFieldsError
from tuckshop.mailing.address import parse_address
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.notices.subscriptions import Notified, Subscriptions
from tuckshop.services.shapes.notify import NotifyOrder, NotifyShape
from tuckshop.storage.rows import text_of_list
from tuckshop.storage.schema import notify

_NO_MAIL: Final = (
    "Mail is not set up: nothing is sent until TUCKSHOP_SMTP_URL and TUCKSHOP_MAIL_FROM are set."
)


class Notify:
    """What staff do with it."""

    def __init__(
        self, changes: Changes, directory: Directory, subscriptions: Subscriptions
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._subscriptions = subscriptions

    async def of_group(self, actor: Actor, group: str) -> NotifyShape:
        """
        Who is mailed of what happens in a group.

        Raises:
            NotFoundError: No such group.
        """
        return self._shape(self._directory.group(group, actor).id)

    async def of_all(self) -> NotifyShape:
        """Who is mailed of what happens in all groups, and beside them."""
        return self._shape(None)

    async def set_of_group(self, actor: Actor, group: str, order: NotifyOrder) -> NotifyShape:
        """
        Say who is, in place of those before.

        Raises:
            NotFoundError: No such group.
            InvalidFieldsError: Addresses that cannot be written to.
        """
        return await self._set(actor, self._directory.group(group, actor).id, order)

    async def set_of_all(self, actor: Actor, order: NotifyOrder) -> NotifyShape:
        """
        The same of all groups.

        Raises:
            InvalidFieldsError: Addresses that cannot be written to.
        """
        return await self._set(actor, None, order)

    async def _set(self, actor: Actor, group_id: str | None, order: NotifyOrder) -> NotifyShape:
        addresses = addresses_of(order)
        kinds = None if order.kinds is None else sorted(set(order.kinds))
        is_it = (
            notify.c.workspace_id == self._directory.workspace.id,
            notify.c.group_id == (group_id or ""),
        )

        def work(edit: Edit) -> None:
            before = edit.connection.execute(select(notify).where(*is_it)).mappings().one_or_none()
            after = {
                "mails": text_of_list(addresses),
                "kinds": None if kinds is None else text_of_list(kinds),
                "members": order.members,
            }
            if before is not None and all(before[name] == value for name, value in after.items()):
                return
            edit.connection.execute(delete(notify).where(*is_it))
            if addresses or order.members:
                edit.connection.execute(
                    insert(notify).values(
                        workspace_id=edit.workspace_id,
                        group_id=group_id or "",
                        since=edit.now_us,
                        **after,
                    )
                )
            # How many addresses, and not which (P8).
            told = {"mails": len(addresses), "kinds": kinds, "members": order.members}
            edit.audit("notify.change", group_id or edit.workspace_id, None, told)

        await self._changes.make(actor, work)
        await self._subscriptions.read()
        return self._shape(group_id)

    def _shape(self, group_id: str | None) -> NotifyShape:
        found = self._subscriptions.notified(group_id) or Notified(group_id=group_id)
        return NotifyShape(
            mails=list(found.mails),
            kinds=None if found.kinds is None else sorted(found.kinds),
            members=found.members,
            trouble=None if self._subscriptions.can_mail else _NO_MAIL,
        )


def addresses_of(order: NotifyOrder) -> list[str]:
    """
    The addresses that are mailed, as they are written, each once.

    Raises:
        InvalidFieldsError: Those that cannot be written to.
    """
    found: dict[str, None] = {}
    errors = []
    for place, text in enumerate(order.mails):
        try:
            found[parse_address(text)] = None
        except ValueError as error:
            errors.append(InvalidFieldError(f"mails[{place}]", str(error)))
    if errors:
        raise InvalidFieldsError(tuple(errors))
    return list(found)
