"""Mails: to members with a link to pick a key up, to those whose link was opened, and a test to oneself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import ConflictError, InvalidFieldError
from tuckshop.domain.records import Group
from tuckshop.mailing.policy import Language, MailPolicy
from tuckshop.mailing.sender import Sender
from tuckshop.services.batches import batches
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.mail_letters import Letters, UnwritableAddressError
from tuckshop.services.mail_queue import DAY_US, MailQueue
from tuckshop.services.mail_recipients import MAILS_PER_TRANSACTION, Recipients
from tuckshop.services.mail_rows import MailRows
from tuckshop.services.mail_templates import Kind, Template, parse_template
from tuckshop.services.mail_texts import text_of
from tuckshop.services.paging import PAGE_DEFAULT, PageSize, cursor_after, mark_of
from tuckshop.services.search import seen_by
from tuckshop.services.shapes.mails import (
    MailKind,
    MailOrder,
    MailPage,
    MailPreview,
    MailReport,
    MailShape,
    MailState,
    MailText,
)
from tuckshop.services.shapes.parts import Sent
from tuckshop.storage.schema import mails

SHOWN_MAX: Final = 1_000
PER_DAY_DEFAULT: Final = 2_000
_AGAIN: Final = ("failed", "unknown", "cancelled")  # what may be put back into the queue
_NOT_SET_UP: Final = (
    "Mail is not set up: set TUCKSHOP_SMTP_URL (smtp://USER:PASSWORD@HOST:587) and TUCKSHOP_MAIL_FROM,"
    " and start the server again."
)
_FOR_THE_OPERATOR: Final = "The server cannot send at present; its operator is told why."
_NO_LINKS: Final = (
    "Links are built from TUCKSHOP_PUBLIC_URL, which is not set: set it to how people reach this server"
    " (https://tuckshop.example.org), and start the server again."
)


class MailFilter(Sent, frozen=True, kw_only=True):
    """Which mails are listed."""

    state: MailState | None = None
    kind: MailKind | None = None
    group: str | None = None
    member: str | None = None
    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """What a server has that is set up for mail."""

    policy: MailPolicy
    letters: Letters
    sender: Sender


class Mails:
    """What staff do with mails. Without an outbox nothing is sent, and everything else says how to have one."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        queue: MailQueue,
        clock: Clock,
        outbox: Outbox | None,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._queue = queue
        self._clock = clock
        self._outbox = outbox
        self._recipients = Recipients(directory, queue, clock)
        self._rows = MailRows(directory, queue)

    # ── as long as the server lives ───────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Take stock of what an earlier server left, and begin to send."""
        await self._queue.recover()
        if self._outbox is not None:
            self._outbox.sender.start()

    def wake(self) -> None:
        """There is something new in the queue."""
        if self._outbox is not None:
            self._outbox.sender.wake()

    @property
    def language(self) -> Language:
        """In which our own texts are, unless somebody says otherwise."""
        return "en" if self._outbox is None else self._outbox.policy.language

    @property
    def is_set_up(self) -> bool:
        """Are mails sent at all?"""
        return self._outbox is not None

    async def close(self) -> None:
        """Send nothing more. What waits is sent by the next server."""
        if self._outbox is not None:
            await self._outbox.sender.close()

    # ── what staff ask for ────────────────────────────────────────────────────────────────────────────────────

    async def order(self, actor: Actor, group: str, order: MailOrder) -> MailReport:
        """
        Queue mails with a link to members of a group, or only tell which these would be.

        Raises:
            NotFoundError: No such group or member.
            ConflictError: Mail is not set up, or the group is not active.
            InvalidFieldError: The template.
        """
        found, outbox = self._group(actor, group), self._with_links()
        template = _template_of(order, outbox.policy)
        recipients, skipped = await self._recipients.chosen(actor, found, order, outbox.letters)
        if not order.dry_run:
            recipients = await self._put_in(actor, found, order, template, recipients)
            outbox.sender.wake()
        waiting = await self._queue.read(self._queue.waiting)
        ahead = waiting + (len(recipients) if order.dry_run else 0)
        return MailReport(
            dry_run=order.dry_run,
            mails=len(recipients),
            skipped=len(skipped),
            last_at=rfc3339(self._last_us(outbox.policy, ahead)) if recipients else None,
            data=skipped[:SHOWN_MAX],
        )

    async def preview(self, actor: Actor, group: str, text: MailText) -> MailPreview:
        """
        The first of the mails that an order would send, with a link that opens nothing.

        Raises:
            NotFoundError: No such group or member.
            ConflictError: Mail is not set up, the group is not active, or nobody would be written to.
            InvalidFieldError: The template.
        """
        found, outbox = self._group(actor, group), self._with_links()
        template = _template_of(text, outbox.policy)
        recipients, _ = await self._recipients.chosen(actor, found, text, outbox.letters)
        if not recipients:
            raise ConflictError("Nobody would be written to: a dry run tells why.")
        member = self._directory.member(recipients[0][0], actor)
        letter = outbox.letters.preview(
            member, template or text_of(text.kind, _language(text, outbox)), now_us=self._now_us()
        )
        return MailPreview(
            sender=str(letter.sender),
            to=str(letter.recipient),
            subject=letter.subject,
            text=letter.text,
        )

    async def test(self, actor: Actor, address: str) -> MailShape:
        """
        Send a test to an address at once, and tell what came of it.

        Raises:
            ConflictError: Mail is not set up, or the day's number is reached.
            InvalidFieldError: Nobody may be written to at this address.
        """
        outbox = self._set_up()
        try:
            checked = outbox.letters.checked(address)
        except UnwritableAddressError as error:
            raise InvalidFieldError("to", str(error)) from None

        def work(edit: Edit) -> Any:
            if self._queue.sent_of_day(edit.connection) >= outbox.policy.per_day:
                raise ConflictError(
                    f"{outbox.policy.per_day:,} mails were sent in the last 24 hours, which is"
                    " TUCKSHOP_MAIL_PER_DAY: try again later."
                )
            taken = self._queue.put_test(edit, outbox.policy.language, checked)
            edit.audit("mail.test", taken.id, None, None)
            return taken

        taken = await self._changes.make(actor, work)
        await outbox.sender.send_now(taken)
        return await self._rows.shape_of(actor, taken.id)

    async def page(self, actor: Actor, chosen: MailFilter) -> MailPage:
        """
        The mails that match, newest first, and how the queue stands.

        Raises:
            NotFoundError: No such group or member.
            InvalidFieldError: The cursor.
        """
        terms = [
            mails.c.workspace_id == self._directory.workspace.id,
            *seen_by(actor, mails.c.group_id),
        ]
        if chosen.group is not None:
            terms.append(mails.c.group_id == self._directory.group(chosen.group, actor).id)
        if chosen.member is not None:
            terms.append(mails.c.member_id == self._directory.member(chosen.member, actor).id)
        if chosen.kind is not None:
            terms.append(mails.c.kind == chosen.kind)
        counts = select(mails.c.state, func.count()).where(*terms).group_by(mails.c.state)
        if chosen.state is not None:
            terms.append(mails.c.state == chosen.state)
        before = mark_of(chosen.cursor)
        if before is not None:
            terms.append(mails.c.id < before)
        query = select(mails).where(*terms).order_by(mails.c.id.desc()).limit(chosen.limit + 1)

        def read(connection: Connection) -> tuple[list[MailShape], dict[MailState, int], int]:
            return (
                [self._rows.shape(dict(row)) for row in connection.execute(query).mappings()],
                {row[0]: row[1] for row in connection.execute(counts)},
                self._queue.sent_of_day(connection),
            )

        rows, by_state, last_day = await self._queue.read(read)
        more, rows = len(rows) > chosen.limit, rows[: chosen.limit]
        outbox = self._outbox
        # A sum over all groups, and words that name the mail server, are not for staff of some groups.
        sees_server = actor.groups is None
        trouble = _NOT_SET_UP if outbox is None else outbox.sender.trouble
        if trouble is not None and not sees_server:
            trouble = _FOR_THE_OPERATOR
        return MailPage(
            data=rows,
            next_cursor=cursor_after(rows[-1].id) if more else None,
            counts=by_state,
            last_day=last_day if sees_server else None,
            per_day=PER_DAY_DEFAULT if outbox is None else outbox.policy.per_day,
            trouble=trouble,
        )

    async def retry(self, actor: Actor, mail_id: str) -> MailShape:
        """
        Put a mail that failed, was cancelled, or of which nobody knows whether it arrived, back into the queue.

        It goes to the address that its member has now.

        Raises:
            NotFoundError: No such mail.
            ConflictError: It waits, was sent, or has nobody to go to.
        """
        outbox = self._set_up()

        def work(edit: Edit) -> None:
            row = self._rows.row(edit.connection, actor, mail_id)
            if row["state"] not in _AGAIN:
                raise ConflictError(
                    "It was sent: order another by kind and member."
                    if row["state"] == "sent"
                    else f"It is {row['state']} already."
                )
            if row["member_id"] is None:
                raise ConflictError(
                    "A test is not sent again: make another."
                    if row["kind"] == "test"
                    else "Mails to staff are not sent again: the next event makes another."
                )
            member = self._directory.member(row["member_id"], actor)
            try:
                address = outbox.letters.checked(self._recipients.email_of(member))
            except UnwritableAddressError as error:
                raise ConflictError(
                    f"{member.external_id} {self._recipients.told(member, error)}."
                ) from None
            if self._queue.with_mail(edit.connection, [member.id], row["kind"], ("queued",)):
                raise ConflictError("Another mail of this kind waits for this member already.")
            self._rows.set(
                edit,
                row,
                "mail.retry",
                state="queued",
                attempts=0,
                queued_at=edit.now_us,
                due_at=edit.now_us,
                recipient=address,
                told=None,
            )

        await self._changes.make(actor, work)
        outbox.sender.wake()
        return await self._rows.shape_of(actor, mail_id)

    async def cancel(self, actor: Actor, mail_id: str) -> MailShape:
        """
        Take a mail that waits out of the queue.

        Raises:
            NotFoundError: No such mail.
            ConflictError: It does not wait.
        """

        def work(edit: Edit) -> None:
            row = self._rows.row(edit.connection, actor, mail_id)
            if row["state"] != "queued":
                raise ConflictError(f"It is {row['state']}: only what waits can be cancelled.")
            self._rows.set(edit, row, "mail.cancel", state="cancelled")

        await self._changes.make(actor, work)
        return await self._rows.shape_of(actor, mail_id)

    # ── what happens by itself ────────────────────────────────────────────────────────────────────────────────

    def tell_of_claim(self, edit: Edit, member_id: str) -> None:
        """Queue a mail to a member whose link was opened, in the change that opened it; without an address, none."""
        self._tell(edit, "claimed", member_id)

    def tell_of_strike(self, edit: Edit, member_id: str) -> None:
        """The same to a member who was paused by a strike, with a link to see why and to answer."""
        if self._outbox is not None and self._outbox.policy.public_url is not None:
            self._tell(edit, "paused", member_id)

    def _tell(self, edit: Edit, kind: Kind, member_id: str) -> None:
        outbox = self._outbox
        member = next(iter(self._directory.known_members([member_id])), None)
        if outbox is None or member is None:
            return
        try:
            address = outbox.letters.checked(self._recipients.email_of(member))
        except UnwritableAddressError:
            return
        recipient = (member.group_id, member.id, address)
        if self._queue.put_in(edit, kind, outbox.policy.language, [recipient]):
            edit.audit("mail.queue", member_id, None, {"kind": kind, "mails": 1})
            outbox.sender.wake_soon()

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────

    def _set_up(self) -> Outbox:
        if self._outbox is None:
            raise ConflictError(_NOT_SET_UP)
        return self._outbox

    def _with_links(self) -> Outbox:
        outbox = self._set_up()
        if outbox.policy.public_url is None:
            raise ConflictError(_NO_LINKS)
        return outbox

    def _group(self, actor: Actor, name: str) -> Group:
        group = self._directory.group(name, actor)
        if group.state != "active":
            raise ConflictError(f"The group is {group.state}: resume it first.")
        return group

    async def _put_in(
        self,
        actor: Actor,
        group: Group,
        order: MailOrder,
        template: Template | None,
        recipients: Sequence[tuple[str, str]],
    ) -> list[tuple[str, str]]:
        """Those for whom a mail was queued: another order may have been quicker."""
        put: list[tuple[str, str]] = []
        language = _language(order, self._set_up())
        for some in batches(recipients, MAILS_PER_TRANSACTION):

            def work(
                edit: Edit, some: Sequence[tuple[str, str]] = some
            ) -> Sequence[tuple[str, str]]:
                name = language if template is None else self._queue.keep_template(edit, template)
                rows = [(group.id, member_id, address) for member_id, address in some]
                queued = set(self._queue.put_in(edit, order.kind, name, rows))
                if queued:
                    edit.audit(
                        "mail.queue",
                        group.id,
                        None,
                        {"kind": order.kind, "mails": len(queued), "template": name},
                    )
                return [pair for pair in some if pair[0] in queued]

            put += await self._changes.make(actor, work)
            await asyncio.sleep(0)
        return put

    def _last_us(self, policy: MailPolicy, ahead: int) -> int:
        """When the last of so many that wait is sent, at the pace that is set."""
        days, rest = divmod(max(0, ahead - 1), policy.per_day)
        return self._now_us() + days * DAY_US + rest * 60 * US_PER_SECOND // policy.per_minute

    def _now_us(self) -> int:
        return self._clock.now_us()


def _template_of(text: MailText, policy: MailPolicy) -> Template | None:
    """The text that was sent; None: ours."""
    return None if text.template is None else parse_template(text.template, text.kind)


def _language(text: MailText, outbox: Outbox) -> Any:
    return text.language or outbox.policy.language
