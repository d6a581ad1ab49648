"""How this server writes: as whom, how much, and to which domains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tuckshop.mailing.address import Mailbox
from tuckshop.mailing.sender import Counted
from tuckshop.mailing.smtp import Smtp

Language = Literal["en", "de"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailPolicy:
    """What the settings say of mail."""

    sender: Mailbox
    contact: str | None  # where answers go; None: to the sender
    language: Language
    per_day: int  # in any 24 hours
    per_minute: int
    domains: tuple[str, ...]  # as `parse_domain` gives them; empty: any
    public_url: str | None  # without it there are no links


@dataclass(frozen=True, slots=True, kw_only=True)
class MailWay:
    """What a server that is set up for mail sends by."""

    policy: MailPolicy
    smtp: Smtp
    count: Callable[[Counted], None]  # told what became of each mail
