"""What papers tell of, as it is in force at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from tuckshop.domain.actor import StaffRole
from tuckshop.domain.body_logging import NO_LOGGING, Logging
from tuckshop.domain.flags import Strikes
from tuckshop.domain.notices import NoticeKind
from tuckshop.domain.privacy import PrivacyStatement, Provider
from tuckshop.domain.records import UpstreamProfile
from tuckshop.domain.rules.rules import NO_RULES, Rules

Checking = Literal["off", "log", "block"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the server's settings say of its surroundings."""

    public_url: str | None = None
    mail_host: str | None = None  # None: no mails are sent
    mail_is_encrypted: bool = True
    mail_contact: str | None = None
    proxies: tuple[str, ...] = ()  # networks of front proxies, which see every caller's address
    has_way_out: bool = False  # calls go to providers through a proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many days rows of each kind are kept, where no group has a say."""

    networks: int
    mails: int
    notices: int
    deliveries: int
    repeats: int  # answers that a repeated call gets again
    links: int  # how long a link opens


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """What a group's calls must be like, what is kept of them, and who may see it."""

    name: str
    title: str
    members: int
    logging: Logging = NO_LOGGING
    log_days: int
    asked: Checking = "off"  # what becomes of flagged contents that somebody asks …
    answered: Checking = "off"  # … and of those that are answered
    fails_open: bool = False
    passes_unreadable: bool = False
    own_thresholds: bool = False
    moderators: tuple[str, ...] = ()  # the upstreams that check
    rules: Rules = NO_RULES
    strikes: Strikes | None = None
    pseudonyms: bool = False
    tells_members: bool = False  # they are mailed of their own budgets
    told_staff: int = 0  # addresses that are mailed of what happens

    @property
    def shown(self) -> str:
        """What it is called."""
        return self.title or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamFacts:
    """A provider, as far as it is known."""

    name: str
    host: str
    is_encrypted: bool
    is_here: bool  # it is this very machine
    profile: UpstreamProfile
    provider: Provider
    serves: bool = True  # calls go there
    checks: bool = False  # its moderation is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFacts:
    """A program that is told what happens."""

    host: str
    kinds: tuple[NoticeKind, ...] | None  # None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it, for one group or for all of them."""

    made_on: date  # the day, by the workspace's zone
    version: str
    group: str | None  # the one that it is about; None: the whole workspace
    stated: PrivacyStatement
    around: Surroundings
    kept: Kept
    conducts: tuple[Conduct, ...]
    archived: int = 0  # groups that are over, and whose people were not erased
    upstreams: tuple[UpstreamFacts, ...] = ()
    webhooks: tuple[WebhookFacts, ...] = ()
    staff: Mapping[StaffRole, int] = field(
        default_factory=dict
    )  # how many tokens that open, by role

    @property
    def keeps_contents(self) -> bool:
        """Does any group keep what is asked and answered?"""
        return any(one.logging.bodies != "off" for one in self.conducts)

    @property
    def checks(self) -> bool:
        """Does any group have its calls checked by moderation?"""
        return any(mode != "off" for one in self.conducts for mode in (one.asked, one.answered))

    @property
    def flags(self) -> bool:
        """Can anything be flagged?"""
        return self.checks or any(
            one.rules.deny_words or one.rules.deny_patterns or one.rules.pii
            for one in self.conducts
        )

    @property
    def writes_mails(self) -> bool:
        """Are mails sent?"""
        return self.around.mail_host is not None

    @property
    def members(self) -> int:
        """Of how many people."""
        return sum(one.members for one in self.conducts)
