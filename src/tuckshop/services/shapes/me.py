"""What a key may see of itself: numbers, never names (K21)."""

from __future__ import annotations

from typing import Literal

from tuckshop.services.shapes.parts import Shown
from tuckshop.services.shapes.standing import LimitStanding
from tuckshop.services.shapes.usage import UsageRow


class OwnKey(Shown, frozen=True, kw_only=True):
    """Which key asks."""

    id: str
    last4: str


class OwnNewKey(OwnKey, frozen=True, kw_only=True):
    """The key after its holder rotated it. `key` only here."""

    key: str


class OwnGroup(Shown, frozen=True, kw_only=True):
    """What its group is called in public, and by which zone its windows turn."""

    title: str
    time_zone: str


class OwnUsage(Shown, frozen=True, kw_only=True):
    """What this key used in the last 30 days, by day of the group's zone and by model."""

    days: list[UsageRow]
    models: list[UsageRow]


class Checked(Shown, frozen=True, kw_only=True):
    """What becomes of contents that a moderation service flags."""

    asked: Literal["off", "log", "block"]
    answered: Literal["off", "log", "block"]


class Privacy(Shown, frozen=True, kw_only=True):
    """What is kept of prompts and answers, and who may read it; what is checked; and where all of it is told."""

    bodies: Literal["off", "flagged", "all"]
    days: int
    purpose: str
    readers: list[str]
    log_days: int  # how long each call has a row without contents
    network_days: int  # how long that row holds a digest of the caller's network
    moderation: Checked
    rules: list[str]  # as sentences
    pseudonyms: bool  # do staff see them in place of names?
    notice: str  # where the privacy notice is: an address, or a path of this server


class Me(Shown, frozen=True, kw_only=True):
    """The page of a key."""

    key: OwnKey
    group: OwnGroup
    models: list[str]  # those with a price that the policy opens
    endpoints: list[str]
    limits: list[LimitStanding]
    usage: OwnUsage
    privacy: Privacy
