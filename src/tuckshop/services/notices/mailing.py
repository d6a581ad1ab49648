"""
Notices on their way to people: mails in the queue of all mails, and which notices each of them tells of.

A mail is written when it leaves, so whatever is passed on until then comes along. Of one kind and group an address gets
at most one mail in a quarter of an hour; the first waits a minute, for what comes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import delete, exists, func, insert, select

from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.ids import new_id
from tuckshop.mailing.policy import Language
from tuckshop.services.mail_queue import KEPT_US
from tuckshop.storage.schema import mailed_notices, mails
from tuckshop.storage.transaction import Transaction

FIRST_US: Final = 60 * US_PER_SECOND
GATHERED_US: Final = 15 * 60 * US_PER_SECOND


class NoticeMails:
    """The rows. On the writer's thread."""

    def __init__(self, workspace_id: str, language: Language) -> None:
        self._workspace_id = workspace_id
        self._language = language

    def put_in(self, transaction: Transaction, notice: Mapping[str, Any], address: str) -> None:
        """Tell somebody of the staff, in a mail that waits or a new one."""
        alike = (
            mails.c.workspace_id == self._workspace_id,
            mails.c.topic == notice["kind"],
            mails.c.recipient == address,
            mails.c.member_id.is_(None),
            # So `IS`, where there is no group, is said rightly too.
            mails.c.group_id.is_not_distinct_from(notice["group_id"]),
        )
        connection, now_us = transaction.connection, transaction.now_us
        waiting = select(mails.c.id).where(*alike, mails.c.state == "queued").limit(1)
        mail_id = connection.execute(waiting).scalar()
        if mail_id is None:
            last_us = connection.execute(select(func.max(mails.c.due_at)).where(*alike)).scalar()
            due_us = max(now_us + FIRST_US, (last_us or 0) + GATHERED_US)
            mail_id = self._insert(transaction, notice, "notice", address, due_us=due_us)
        self._link(transaction, mail_id, notice)

    def put_in_for_member(
        self, transaction: Transaction, notice: Mapping[str, Any], address: str
    ) -> None:
        """Tell a member of their own budget."""
        mail_id = self._insert(
            transaction, notice, "budget", address, member_id=notice["member_id"]
        )
        self._link(transaction, mail_id, notice)

    def forget_old(self, transaction: Transaction) -> None:
        """Forget mails that were dealt with long ago, and what mails told that are there no more."""
        connection = transaction.connection
        connection.execute(
            delete(mails).where(
                mails.c.workspace_id == self._workspace_id,
                mails.c.topic.is_not(None),
                mails.c.state.not_in(("queued", "sending")),
                mails.c.queued_at < transaction.now_us - KEPT_US,
            )
        )
        connection.execute(
            delete(mailed_notices).where(
                mailed_notices.c.workspace_id == self._workspace_id,
                ~exists().where(
                    mails.c.workspace_id == mailed_notices.c.workspace_id,
                    mails.c.id == mailed_notices.c.mail_id,
                ),
            )
        )

    def _insert(
        self,
        transaction: Transaction,
        notice: Mapping[str, Any],
        kind: str,
        address: str,
        *,
        member_id: str | None = None,
        due_us: int | None = None,
    ) -> str:
        now_us = transaction.now_us
        mail_id = new_id("mai", now_us)
        transaction.connection.execute(
            insert(mails).values(
                workspace_id=self._workspace_id,
                id=mail_id,
                kind=kind,
                group_id=notice["group_id"],
                member_id=member_id,
                recipient=address,
                template=self._language,
                state="queued",
                queued_at=now_us,
                due_at=now_us if due_us is None else due_us,
                topic=notice["kind"],
            )
        )
        return mail_id

    def _link(self, transaction: Transaction, mail_id: str, notice: Mapping[str, Any]) -> None:
        transaction.connection.execute(
            insert(mailed_notices).values(
                workspace_id=self._workspace_id, mail_id=mail_id, notice_id=notice["id"]
            )
        )
