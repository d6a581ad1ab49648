"""Everything about a person, for that person: what is kept of them, what was done to it, and who read it."""

from __future__ import annotations

from typing import Any

from tuckshop.domain.body_logging import Logging
from tuckshop.services.shapes.audit import AuditRow
from tuckshop.services.shapes.flags import FlagShape
from tuckshop.services.shapes.holds import HoldShape
from tuckshop.services.shapes.kept_bodies import BodyRequest
from tuckshop.services.shapes.keys import KeyShape
from tuckshop.services.shapes.mails import MailShape
from tuckshop.services.shapes.members import MemberShape
from tuckshop.services.shapes.parts import Shown, Usd
from tuckshop.services.shapes.usage import UsageRow


class BodiesAsked(BodyRequest, frozen=True, kw_only=True):
    """Why all that is kept of what somebody wrote is opened."""


class ExportedGroup(Shown, frozen=True, kw_only=True):
    """The group, and what it keeps of its members' calls."""

    id: str
    name: str
    title: str
    time_zone: str
    log_days: int
    logging: Logging


class ExportedBodies(Shown, frozen=True, kw_only=True):
    """Of how many calls prompt and answer are kept, and whether the caller may read them."""

    kept: int
    readable: bool
    why_not: str | None


class ExportedLink(Shown, frozen=True, kw_only=True):
    """A link by which a key was to be picked up."""

    id: str
    created_at: str
    expires_at: str
    state: str
    used_at: str | None
    key: str | None


class ExportedFlag(FlagShape, frozen=True, kw_only=True):
    """A content that was flagged, and the calls it was found in."""

    requests: list[str]


class ExportedAppeal(Shown, frozen=True, kw_only=True):
    """What the person said to a flag, or to all of them; or a link to say something by."""

    id: str
    created_at: str
    sent_at: str | None
    by: str | None
    flag: str | None
    state: str
    reason: str | None


class ExportedNotice(Shown, frozen=True, kw_only=True):
    """What staff were told about the person, in numbers and ids; how many mails and programs told it."""

    id: str
    at: str
    kind: str
    key: str | None
    request: str | None
    facts: dict[str, Any]
    mails: int
    webhooks: int


class ExportedEntry(Shown, frozen=True, kw_only=True):
    """A grant, a reset or a correction."""

    id: str
    at: str
    kind: str
    by: str
    about: str | None  # the member, the key or the request
    amount_usd: Usd | None
    until: str | None
    reason: str | None


class ExportedMember(Shown, frozen=True, kw_only=True):
    """
    A person in one group. The rows of the log are had by `GET /requests?member=`, of which `calls` tells the number.

    `trail`: what was done about the person. `reads`: of that, and of searches, what was read; of a search that was not
    about this person alone only when, who, and which calls of theirs it showed.
    """

    member: MemberShape
    created_at: str
    erased_at: str | None
    group: ExportedGroup
    keys: list[KeyShape]
    links: list[ExportedLink]
    usage: list[UsageRow]  # by month and model
    entries: list[ExportedEntry]
    calls: int
    bodies: ExportedBodies
    flags: list[ExportedFlag]
    appeals: list[ExportedAppeal]
    mails: list[MailShape]
    notices: list[ExportedNotice]
    holds: list[HoldShape]
    reads: list[AuditRow]
    trail: list[AuditRow]


class MemberExport(Shown, frozen=True, kw_only=True):
    """A person: the member that was named, and those with the same external id in other groups that the caller sees."""

    at: str
    data: list[ExportedMember]
