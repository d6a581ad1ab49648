"""
The mails that wait, are on their way, or were dealt with: one row each.

queued → sending → sent, failed (the server will not have it), unknown (it may have it), or queued again for later;
queued → cancelled. Only somebody who says so puts one that is failed, unknown or cancelled back into the queue.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar, cast, get_args

from sqlalchemy import Connection, Select, delete, exists, func, insert, select, update

from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.mailing.sender import Ended, Taken
from tuckshop.services.changes import Edit
from tuckshop.services.mail_templates import Kind, Template, parse_template
from tuckshop.services.mail_texts import text_of
from tuckshop.services.shapes.mails import MailState
from tuckshop.storage.database import Database
from tuckshop.storage.schema import mail_templates, mailed_notices, mails, notices
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

T = TypeVar("T")
DAY_US: Final = 86_400 * US_PER_SECOND
WAIT_MAX_US: Final = 7 * DAY_US  # a mail that could not be sent by then is not sent any more
KEPT_US: Final = 180 * DAY_US  # how long a mail that was dealt with is remembered
# What may have reached the server, and so counts for the day's number.
_COUNTED: Final = ("sending", "sent", "unknown")
_WAITING: Final = ("queued", "sending")
_OUR_OWN: Final[Mapping[str, Literal["en", "de"]]] = {"en": "en", "de": "de"}


class MailQueue:
    """The rows. Keeps the promises of `mailing.sender.Queue`."""

    def __init__(
        self, workspace_id: str, writer: Writer, database: Database, clock: Clock, *, per_day: int
    ) -> None:
        self._workspace_id = workspace_id
        self._writer = writer
        self._database = database
        self._clock = clock
        self._per_day = per_day

    # ── for the sender ────────────────────────────────────────────────────────────────────────────────────────

    async def recover(self) -> int:
        """At a start: what was being sent when the server died may have been sent. How many these are."""

        def work(transaction: Transaction) -> int:
            told = "the server ended while it was handed over"
            changed = transaction.connection.execute(
                update(mails)
                .where(*self._mine, mails.c.state == "sending")
                .values(state="unknown", told=told)
            )
            return changed.rowcount

        return await self._writer.transact(work)

    async def wait_s(self) -> float | None:
        """How long until a mail may be taken; 0: now; None: there is none."""

        def read(connection: Connection) -> float | None:
            due_us = connection.execute(
                select(func.min(mails.c.due_at)).where(*self._mine, mails.c.state == "queued")
            ).scalar()
            if due_us is None:
                return None
            now_us = self._clock.now_us()
            room_us = connection.execute(self._full_until(now_us)).scalar()
            free_us = now_us if room_us is None else int(room_us) + DAY_US
            return max(0.0, (max(int(due_us), free_us) - now_us) / US_PER_SECOND)

        return await self.read(read)

    async def take(self) -> Taken | None:
        """Mark the mail that is due first as `sending`, durably; None: there is none any more."""

        def work(transaction: Transaction) -> Taken | None:
            connection, now_us = transaction.connection, transaction.now_us
            told = f"waited for {WAIT_MAX_US // DAY_US} days"
            connection.execute(
                update(mails)
                .where(
                    *self._mine,
                    mails.c.state == "queued",
                    mails.c.queued_at < now_us - WAIT_MAX_US,
                )
                .values(state="failed", told=told)
            )
            if connection.execute(self._full_until(now_us)).scalar() is not None:
                return None
            row = (
                connection.execute(
                    select(mails)
                    .where(*self._mine, mails.c.state == "queued", mails.c.due_at <= now_us)
                    .order_by(mails.c.due_at, mails.c.id)
                    .limit(1)
                )
                .mappings()
                .one_or_none()
            )
            if row is None:
                return None
            attempts = row["attempts"] + 1
            self._write(transaction, row["id"], state="sending", attempts=attempts, tried_at=now_us)
            return _taken({**row, "attempts": attempts})

        return await self._writer.transact(work)

    async def end(self, mail_id: str, state: Ended, told: str) -> None:
        """What became of a mail that was taken."""
        await self._writer.transact(
            lambda transaction: self._write(transaction, mail_id, state=state, told=told or None)
        )

    async def put_back(self, mail_id: str, pause_s: float, told: str) -> None:
        """A mail that was taken has surely not been sent: have it taken again after *pause_s*."""

        def work(transaction: Transaction) -> None:
            due_us = transaction.now_us + round(pause_s * US_PER_SECOND)
            self._write(transaction, mail_id, state="queued", due_at=due_us, told=told or None)

        await self._writer.transact(work)

    # ── for staff ─────────────────────────────────────────────────────────────────────────────────────────────

    def put_in(
        self,
        edit: Edit,
        kind: Kind,
        template: str,
        recipients: Sequence[tuple[str, str, str]],
    ) -> list[str]:
        """
        Queue a mail for each of (group id, member id, address) for whom none of this kind waits; the members.

        Also forgets what was dealt with long ago.
        """
        edit.connection.execute(
            delete(mails).where(
                *self._mine,
                mails.c.state.not_in(_WAITING),
                mails.c.queued_at < edit.now_us - KEPT_US,
            )
        )
        edit.connection.execute(
            delete(mail_templates).where(
                mail_templates.c.workspace_id == self._workspace_id,
                mail_templates.c.id != template,
                ~exists().where(
                    mails.c.workspace_id == mail_templates.c.workspace_id,
                    mails.c.template == mail_templates.c.id,
                ),
            )
        )
        waiting = self.with_mail(
            edit.connection, [member for _, member, _ in recipients], kind, _WAITING
        )
        rows: list[dict[str, Any]] = [
            {
                "workspace_id": self._workspace_id,
                "id": edit.new_id("mai"),
                "kind": kind,
                "group_id": group_id,
                "member_id": member_id,
                "recipient": address,
                "template": template,
                "state": "queued",
                "queued_at": edit.now_us,
                "due_at": edit.now_us,
            }
            for group_id, member_id, address in recipients
            if member_id not in waiting
        ]
        if rows:
            edit.connection.execute(insert(mails), rows)
        return [row["member_id"] for row in rows]

    def put_test(self, edit: Edit, template: str, address: str) -> Taken:
        """A test: a mail that is `sending` from the beginning, so that nobody else takes it."""
        row = {
            "workspace_id": self._workspace_id,
            "id": edit.new_id("mai"),
            "kind": "test",
            "group_id": None,
            "member_id": None,
            "recipient": address,
            "template": template,
            "state": "sending",
            "attempts": 1,
            "queued_at": edit.now_us,
            "due_at": edit.now_us,
            "tried_at": edit.now_us,
        }
        edit.connection.execute(insert(mails).values(row))
        return _taken(row)

    def with_mail(
        self,
        connection: Connection,
        member_ids: Sequence[str],
        kind: Kind,
        states: Sequence[MailState],
    ) -> set[str]:
        """Those of the members who have a mail of this kind in one of *states*."""
        query = select(mails.c.member_id).where(
            *self._mine,
            mails.c.member_id.in_(member_ids),
            mails.c.kind == kind,
            mails.c.state.in_(states),
        )
        return set(connection.execute(query).scalars())

    def keep_template(self, edit: Edit, template: Template) -> str:
        """The id by which mails name a text that staff brought."""
        content = str(template)
        id_ = hashlib.sha256(content.encode()).hexdigest()
        known = select(mail_templates.c.id).where(
            mail_templates.c.workspace_id == self._workspace_id, mail_templates.c.id == id_
        )
        if edit.connection.execute(known).scalar() is None:
            edit.connection.execute(
                insert(mail_templates).values(
                    workspace_id=self._workspace_id, id=id_, content=content
                )
            )
        return id_

    async def template(self, id_: str, kind: Kind) -> Template:
        """The text that mails name so."""
        if id_ in _OUR_OWN:
            return text_of(kind, _OUR_OWN[id_])
        query = select(mail_templates.c.content).where(
            mail_templates.c.workspace_id == self._workspace_id, mail_templates.c.id == id_
        )
        content = await self.read(lambda connection: connection.execute(query).scalar_one())
        return parse_template(content, kind)

    async def told_by(self, mail_id: str) -> list[Mapping[str, Any]]:
        """The notices that a mail tells of, oldest first."""
        query = (
            select(notices)
            .join(
                mailed_notices,
                (mailed_notices.c.workspace_id == notices.c.workspace_id)
                & (mailed_notices.c.notice_id == notices.c.id),
            )
            .where(
                notices.c.workspace_id == self._workspace_id, mailed_notices.c.mail_id == mail_id
            )
            .order_by(notices.c.at, notices.c.id)
        )
        return await self.read(
            lambda connection: [dict(row) for row in connection.execute(query).mappings()]
        )

    def row(self, connection: Connection, mail_id: str) -> Mapping[str, Any] | None:
        """A mail."""
        query = select(mails).where(*self._mine, mails.c.id == mail_id)
        row = connection.execute(query).mappings().one_or_none()
        return None if row is None else dict(row)

    def sent_of_day(self, connection: Connection) -> int:
        """How many mails count for the day's number now."""
        query = select(func.count()).where(
            *self._mine,
            mails.c.tried_at > self._clock.now_us() - DAY_US,
            mails.c.state.in_(_COUNTED),
        )
        return int(connection.execute(query).scalar_one())

    def waiting(self, connection: Connection) -> int:
        """How many mails wait."""
        query = select(func.count()).where(*self._mine, mails.c.state == "queued")
        return int(connection.execute(query).scalar_one())

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run *work* on a reader, off the loop."""

        def read() -> T:
            with self._database.reader() as connection:
                return work(connection)

        return await asyncio.to_thread(read)

    @property
    def _mine(self) -> tuple[Any, ...]:
        return (mails.c.workspace_id == self._workspace_id,)

    def _full_until(self, now_us: int) -> Select[Any]:
        """The attempt that has to be a day ago before there is room for another; no row: there is room."""
        return (
            select(mails.c.tried_at)
            .where(*self._mine, mails.c.tried_at > now_us - DAY_US, mails.c.state.in_(_COUNTED))
            .order_by(mails.c.tried_at.desc())
            .offset(self._per_day - 1)
            .limit(1)
        )

    def _write(self, transaction: Transaction, mail_id: str, **values: object) -> None:
        transaction.connection.execute(
            update(mails).where(*self._mine, mails.c.id == mail_id).values(values)
        )


def kind_of(text: str) -> Kind:
    """The kind that a column names."""
    assert text in get_args(Kind)
    return cast(Kind, text)


def _taken(row: Mapping[str, Any]) -> Taken:
    return Taken(
        id=row["id"],
        kind=row["kind"],
        member_id=row["member_id"],
        recipient=row["recipient"],
        template=row["template"],
        attempts=row["attempts"],
        queued_at_us=row["queued_at"],
    )
