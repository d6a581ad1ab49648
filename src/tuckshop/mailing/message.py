"""A letter as mail servers take it: header fields of one line each, plain text, seven bits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.mailing.address import Mailbox, one_line

SUBJECT_MAX_CHARACTERS: Final = 200
_POLICY: Final = SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is written to whom."""

    sender: Mailbox
    reply_to: str | None
    recipient: Mailbox
    subject: str
    text: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)  # what in it opens something

    def without_secret(self, text: str) -> str:
        """What somebody said of this letter, who may have quoted it."""
        return text if not self.secret else text.replace(self.secret, "…")


def message_of(letter: Letter, *, mail_id: str, at_us: int) -> bytes:
    """
    The message, the same for every attempt at a mail but for its date.

    Args:
        mail_id: Makes the Message-ID, so that a mail server that got it twice may see so.
    """
    message = EmailMessage(policy=_POLICY)
    message["From"] = letter.sender.header
    message["To"] = letter.recipient.header
    if letter.reply_to is not None:
        message["Reply-To"] = Address(addr_spec=letter.reply_to)
    message["Subject"] = one_line(letter.subject)[:SUBJECT_MAX_CHARACTERS]
    message["Date"] = datetime.fromtimestamp(at_us // US_PER_SECOND, UTC)
    message["Message-ID"] = f"<{mail_id}@{letter.sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    message.set_content(letter.text)
    return message.as_bytes()
