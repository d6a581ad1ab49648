"""Whom a mail to members of a group goes to, and whom it does not, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import NotFoundError
from tuckshop.domain.records import Group, Member
from tuckshop.services.batches import batches
from tuckshop.services.directory import Directory
from tuckshop.services.mail_letters import Letters, UnwritableAddressError
from tuckshop.services.mail_queue import MailQueue
from tuckshop.services.reissuing import is_active_key
from tuckshop.services.shapes.mails import MailText, SkippedMember, SkipReason
from tuckshop.storage.schema import keys

MAILS_PER_TRANSACTION: Final = 200  # so that calls never wait long for an order
_ADDRESS_HIDDEN: Final = "has an address that cannot be written to"


class Recipients:
    """Finds them; changes nothing."""

    def __init__(self, directory: Directory, queue: MailQueue, clock: Clock) -> None:
        self._directory = directory
        self._queue = queue
        self._clock = clock

    async def chosen(
        self, actor: Actor, group: Group, text: MailText, letters: Letters
    ) -> tuple[list[tuple[str, str]], list[SkippedMember]]:
        """
        (member id, address) of whom a mail goes to, and the others with the reason.

        Raises:
            NotFoundError: One who is named is no member of the group.
        """
        members = self._members(actor, group, text.members)
        ids = [member.id for member in members]
        kind = text.kind

        def read(connection: Connection) -> tuple[set[str], set[str], set[str]]:
            waiting, invited, holders = set[str](), set[str](), set[str]()
            for some in batches(ids, MAILS_PER_TRANSACTION):
                waiting |= self._queue.with_mail(connection, some, kind, ("queued", "sending"))
                if kind == "invite" and not text.again:
                    invited |= self._queue.with_mail(connection, some, kind, ("sent", "unknown"))
                    query = select(keys.c.member_id).where(
                        keys.c.workspace_id == self._directory.workspace.id,
                        keys.c.member_id.in_(some),
                        is_active_key(self._clock.now_us()),
                    )
                    holders |= set(connection.execute(query).scalars())
            return waiting, invited, holders

        waiting, invited, holders = await self._queue.read(read)
        recipients: list[tuple[str, str]] = []
        skipped: list[SkippedMember] = []
        for member in members:
            reason: tuple[SkipReason, str] | None = None
            address = ""
            if member.state != "active":
                reason = member.state, f"is {member.state}"
            elif member.id in waiting:
                reason = "waiting", "has a mail of this kind in the queue"
            elif member.id in holders:
                reason = "has_key", "has a key that opens; `again` writes all the same"
            elif member.id in invited:
                reason = "invited", "was sent an invitation; `again` sends another"
            else:
                email = self.email_of(member)
                try:
                    address = letters.checked(email)
                except UnwritableAddressError as error:
                    reason = (
                        "not_allowed" if email else "no_address",
                        self.told(member, error) if email else str(error),
                    )
            if reason is None:
                recipients.append((member.id, address))
            else:
                skipped.append(
                    SkippedMember(
                        member=member.id,
                        external_id=member.external_id,
                        reason=reason[0],
                        message=reason[1],
                    )
                )
        return recipients, skipped

    def email_of(self, member: Member) -> str | None:
        """Where they are written to, whether staff see it or not."""
        return self._directory.person(member.id).email

    def told(self, member: Member, error: UnwritableAddressError) -> str:
        """Why they cannot be written to; the address itself only where it is shown."""
        return _ADDRESS_HIDDEN if self._directory.hides_names(member.group_id) else str(error)

    def _members(self, actor: Actor, group: Group, ids: Iterable[str] | None) -> list[Member]:
        if ids is None:
            found = self._directory.known_members(self._directory.member_ids(group.id))
            return [member for member in found if member.state != "archived"]
        chosen = [self._directory.member(id_, actor) for id_ in dict.fromkeys(ids)]
        for member in chosen:
            if member.group_id != group.id:
                raise NotFoundError(f"There is no member {member.id!r} in this group.")
        return chosen
