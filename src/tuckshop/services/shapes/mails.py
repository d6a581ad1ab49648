"""Mails."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from tuckshop.mailing.policy import Language
from tuckshop.services.shapes.parts import Sent, Shown

MailState = Literal["queued", "sending", "sent", "failed", "unknown", "cancelled"]
MailKind = Literal["invite", "rotated", "claimed", "paused", "test", "notice", "budget"]
SkipReason = Literal[
    "no_address", "not_allowed", "archived", "paused", "waiting", "invited", "has_key"
]


class MailText(Sent, frozen=True, kw_only=True):
    """Mails with a link to members of a group: which, in which words, to whom."""

    kind: Literal["invite", "rotated"]
    template: Annotated[str, Meta(max_length=20_000)] | None = None  # `Subject: …`, then the text
    language: Language | None = None  # of our own text, where no template is sent
    members: Annotated[list[str], Meta(max_length=10_000)] | None = None  # ids; null: all
    again: bool = False  # also to whom an invitation went before, or who has a key


class MailOrder(MailText, frozen=True, kw_only=True):
    """The same, to be sent or only looked at."""

    dry_run: bool = False


class SkippedMember(Shown, frozen=True, kw_only=True):
    """Somebody who is not written to."""

    member: str
    external_id: str
    reason: SkipReason
    message: str


class MailReport(Shown, frozen=True, kw_only=True):
    """How many mails were queued, or would be, and who gets none."""

    dry_run: bool
    mails: int
    skipped: int
    last_at: (
        str | None
    )  # when the last of them is sent, as far as can be told; null: there are none
    data: list[SkippedMember]  # the first 1,000


class MailPreview(Shown, frozen=True, kw_only=True):
    """The first of the mails, with a link that opens nothing."""

    sender: str
    to: str
    subject: str
    text: str


class MailTest(Sent, frozen=True, kw_only=True):
    """A test mail to an address."""

    to: Annotated[str, Meta(max_length=320)]


class MailShape(Shown, frozen=True, kw_only=True):
    """A mail, as read."""

    id: str
    kind: MailKind
    group: str | None
    member: str | None
    to: str
    state: MailState
    attempts: int
    queued_at: str
    due_at: str | None  # null: it waits no more
    tried_at: str | None
    told: str | None  # by the mail server, or by us


class MailPage(Shown, frozen=True, kw_only=True):
    """Mails, newest first, and how the queue stands."""

    data: list[MailShape]
    next_cursor: str | None
    counts: dict[MailState, int]  # of all that match, whatever their state
    last_day: (
        int | None
    )  # how many were sent in the last 24 hours, of all groups; null for staff of some
    per_day: int
    trouble: str | None  # why none can be sent at present; to staff of some groups, that none can
