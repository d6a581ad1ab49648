"""
The JSON that the admin API takes and gives: one struct per body.

What is sent lists the writable fields and nothing else, and an unknown name refuses the whole change (K6). In a change,
`UNSET` is a field that was not sent, and None is one that was sent as `null`: back to its default.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from tuckshop.domain.records import (
    CredentialSource,
    OnDisconnect,
    State,
    UnknownParameters,
    UpstreamFamily,
    UpstreamProfile,
)
from tuckshop.upstreams.probe import ProbeResult

Usd = Annotated[Decimal, Meta(extra_json_schema={"type": "number"}, description="US dollars")]
OutputCap = Annotated[int, Meta(ge=1, le=100_000_000)]
TextList = Annotated[list[str], Meta(max_length=500)]
LimitList = Annotated[list[str], Meta(max_length=50, description="Limits as people write them")]
Instant = Annotated[datetime, Meta(tz=True)]


class Sent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body that we read."""


class Shown(Struct, frozen=True, kw_only=True):
    """A body that we write."""


# ── policy fields that nothing obeys yet: taken only with their defaults ──────────────────────────────────────────


class Moderation(Sent, frozen=True, kw_only=True):
    """What is checked before a call goes out."""

    mode: Literal["off", "log", "block"] = "off"
    fail: Literal["closed", "open"] = "closed"
    thresholds: dict[str, float] = {}


class Logging(Sent, frozen=True, kw_only=True):
    """Which bodies are kept, for how long, what for, and who may read them."""

    bodies: Literal["off", "flagged", "all"] = "off"
    days: int = 30
    purpose: str = ""
    readers: list[str] = field(default_factory=lambda: ["owner"])


NO_MODERATION: Final = Moderation()
NO_LOGGING: Final = Logging()
LOG_DAYS: Final = 400

# ── groups ────────────────────────────────────────────────────────────────────────────────────────────────────────


class GroupChange(Sent, frozen=True, kw_only=True):
    """Any part of a group's policy."""

    name: str | UnsetType = UNSET
    title: str | UnsetType | None = UNSET
    time_zone: str | UnsetType | None = UNSET
    models: TextList | UnsetType | None = UNSET
    endpoints: TextList | UnsetType | None = UNSET
    tools: list[str] | UnsetType | None = UNSET
    each: LimitList | UnsetType | None = UNSET
    shared: LimitList | UnsetType | None = UNSET
    carry_over: str | UnsetType | None = UNSET
    max_output_tokens: OutputCap | UnsetType | None = UNSET
    min_output_tokens: Annotated[int, Meta(ge=16, le=1000000)] | UnsetType | None = UNSET
    patience_s: Annotated[int, Meta(ge=0, le=600)] | UnsetType | None = UNSET
    on_disconnect: OnDisconnect | UnsetType | None = UNSET
    unknown_parameters: UnknownParameters | UnsetType | None = UNSET
    provider_storage: Literal["on", "off"] | UnsetType | None = UNSET
    objects: Literal["own", "shared"] | UnsetType | None = UNSET
    show_shared: bool | UnsetType | None = UNSET
    self_rotate: bool | UnsetType | None = UNSET
    moderation: Moderation | UnsetType | None = UNSET
    logging: Logging | UnsetType | None = UNSET
    log_days: int | UnsetType | None = UNSET
    state: State | UnsetType = UNSET


class NewGroup(GroupChange, frozen=True, kw_only=True):
    """A group to be made."""

    name: str


class LimitStanding(Shown, frozen=True, kw_only=True):
    """A limit with its state; money in USD, the rest in counts."""

    limit: str
    scope: Literal["member", "key", "group", "workspace", "upstream"]
    used: Usd | int
    reserved: Usd | int
    remaining: Usd | int
    resets_at: str | None  # None: total. Rolling windows: when all is free again


class GroupShape(Shown, frozen=True, kw_only=True):
    """A group, as read."""

    id: str
    name: str
    title: str
    time_zone: str
    models: list[str] | None
    endpoints: list[str] | None
    tools: list[str] = []
    each: list[str]
    shared: list[str]
    carry_over: str | None = None
    max_output_tokens: int | None
    min_output_tokens: int
    patience_s: int
    on_disconnect: OnDisconnect
    unknown_parameters: UnknownParameters
    provider_storage: Literal["on", "off"] = "off"
    objects: Literal["own", "shared"] = "own"
    show_shared: bool
    self_rotate: bool = False
    moderation: Moderation = NO_MODERATION
    logging: Logging = NO_LOGGING
    log_days: int = LOG_DAYS
    state: State
    in_force: list[LimitStanding]


class GroupReset(Sent, frozen=True, kw_only=True):
    """Which windows start afresh."""

    what: Literal["each", "shared", "all"] = "all"


class GroupPage(Shown, frozen=True, kw_only=True):
    """Groups, oldest first."""

    data: list[GroupShape]
    next_cursor: str | None


# ── members ───────────────────────────────────────────────────────────────────────────────────────────────────────


class MemberChange(Sent, frozen=True, kw_only=True):
    """Any part of a member."""

    external_id: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    limits: LimitList | UnsetType | None = UNSET
    models: TextList | UnsetType | None = UNSET
    endpoints: TextList | UnsetType | None = UNSET
    max_output_tokens: OutputCap | UnsetType | None = UNSET


class NewMember(MemberChange, frozen=True, kw_only=True):
    """A member to be added, or changed where the external id is in the group already."""

    external_id: str


class MemberShape(Shown, frozen=True, kw_only=True):
    """A member, as read. `key` only where one was issued just now."""

    id: str
    group: str
    external_id: str
    name: str | None
    email: str | None
    limits: list[str]
    models: list[str] | None
    endpoints: list[str] | None
    max_output_tokens: int | None
    state: State
    in_force: list[LimitStanding]
    key: str | UnsetType = UNSET


class MemberPage(Shown, frozen=True, kw_only=True):
    """Members, oldest first."""

    data: list[MemberShape]
    next_cursor: str | None


class RowError(Shown, frozen=True, kw_only=True):
    """Why a row of a roster did not go in."""

    line: int  # from 1
    field: str | None
    message: str


RosterAction = Literal["new", "changed", "unchanged", "revived"]


class RosterRow(Shown, frozen=True, kw_only=True):
    """What importing a line of a file would do. `changes` names the fields that would get another value."""

    line: int
    external_id: str
    name: str | None
    action: RosterAction
    changes: list[str]


class MissingMember(Shown, frozen=True, kw_only=True):
    """Who is in the group and not in the file."""

    id: str
    external_id: str
    name: str | None
    state: State


class Roster(Shown, frozen=True, kw_only=True):
    """What became of the rows sent, and, of a file, who is in the group and not in it."""

    data: list[MemberShape]
    errors: list[RowError]
    missing: list[MissingMember] | UnsetType = UNSET


class RosterPreview(Shown, frozen=True, kw_only=True):
    """
    What importing a file would do, and how it was read.

    `columns` are those that are read, by field; `questions` have to be answered before it is imported.
    """

    rows: list[RosterRow]
    errors: list[RowError]
    missing: list[MissingMember]
    questions: list[str]
    columns: dict[str, str]
    ignored: list[str]
    encoding: str
    delimiter: str


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ShownKeyState = Literal["active", "paused", "revoked", "expired", "archived"]


class KeyChange(Sent, frozen=True, kw_only=True):
    """Any part of a key. It narrows its member, it never widens."""

    name: str | UnsetType | None = UNSET
    limits: LimitList | UnsetType | None = UNSET
    models: TextList | UnsetType | None = UNSET
    endpoints: TextList | UnsetType | None = UNSET
    max_output_tokens: OutputCap | UnsetType | None = UNSET
    tags: Annotated[list[str], Meta(max_length=20)] | UnsetType | None = UNSET
    expires_at: Instant | UnsetType | None = UNSET


class NewKey(KeyChange, frozen=True, kw_only=True):
    """A key to be issued."""


class Rotation(Sent, frozen=True, kw_only=True):
    """A new secret; the one before opens for *overlap* longer (``24h``, ``7d``), or not at all."""

    overlap: str | None = None


class KeyShape(Shown, frozen=True, kw_only=True):
    """A key, as read. `key` only in the answer that issues or rotates it."""

    id: str
    key: str | UnsetType = UNSET
    member: str
    name: str | None
    last4: str
    limits: list[str]
    models: list[str] | None
    endpoints: list[str] | None
    max_output_tokens: int | None
    tags: list[str]
    expires_at: str | None
    last_used_at: str | None
    state: ShownKeyState
    in_force: list[LimitStanding]


class KeyPage(Shown, frozen=True, kw_only=True):
    """Keys, oldest first."""

    data: list[KeyShape]
    next_cursor: str | None


# ── the request log and reports ───────────────────────────────────────────────────────────────────────────────────


class RequestShape(Shown, frozen=True, kw_only=True):
    """A row of the request log. Counts and cost are null while the call runs."""

    id: str
    at: str
    member: str
    key: str
    group: str
    endpoint: str
    model: str
    status: Literal["settled", "voided", "reserved", "refused", "blocked"]
    http_status: int | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cost_usd: Usd | None  # corrections included
    flags: list[str]
    first_byte_ms: int | None
    duration_ms: int | None
    queue_ms: int | None
    upstream: str
    upstream_request_id: str | None
    tag: str | None
    repeats: int
    error: str | None


class RequestPage(Shown, frozen=True, kw_only=True):
    """The request log, newest first."""

    data: list[RequestShape]
    next_cursor: str | None


class AuditRow(Shown, frozen=True, kw_only=True):
    """What somebody did: `before` and `after` hold ids and policy, no names and no secrets."""

    number: int  # 1, 2, 3 … without gaps
    at: str
    actor: str
    action: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditPage(Shown, frozen=True, kw_only=True):
    """The audit trail, newest first."""

    data: list[AuditRow]
    next_cursor: str | None


class AuditCheck(Shown, frozen=True, kw_only=True):
    """How many rows there are, and the number of the first that does not follow from the one before it."""

    rows: int
    first_broken: int | None


class UsageRow(Shown, frozen=True, kw_only=True):
    """Sums over one combination of the dimensions asked for; the other dimensions are left out."""

    group: str | UnsetType = UNSET
    member: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    endpoint: str | UnsetType = UNSET
    day: str | UnsetType = UNSET
    week: str | UnsetType = UNSET
    month: str | UnsetType = UNSET
    year: str | UnsetType = UNSET
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: Usd


USAGE_SUMS: Final = ("requests", "input_tokens", "output_tokens", "cached_tokens", "cost_usd")


class UsagePage(Shown, frozen=True, kw_only=True):
    """All rows of the report, in the order of the dimensions asked for."""

    data: list[UsageRow]
    time_zone: str
    next_cursor: None = None


class LongContext(Shown, frozen=True, kw_only=True):
    """What a call costs as soon as its input is more than `above` tokens."""

    above: int
    units: dict[str, Usd]


class PriceShape(Shown, frozen=True, kw_only=True):
    """A model's price: US dollars per 1,000,000 tokens of each unit."""

    upstream: str
    model: str
    family: Literal["chat", "responses", "completion", "embedding", "moderation"]
    units: dict[str, Usd]
    long_context: LongContext | None
    free: bool
    effective_from: str  # the day on which the source said so
    context_tokens: int | None
    max_output_tokens: int | None
    reasons: bool
    images: str | None  # the rule by which images count as input; null: it takes none
    source: str


class PricePage(Shown, frozen=True, kw_only=True):
    """The price list in force, whole."""

    data: list[PriceShape]
    next_cursor: None = None


# ── upstreams ─────────────────────────────────────────────────────────────────────────────────────────────────────


class UpstreamChange(Sent, frozen=True, kw_only=True):
    """Any part of an upstream. Another scheme, host or port drops the credential, unless one comes with it."""

    name: str | UnsetType = UNSET
    family: Literal["openai", "azure", "anthropic"] | UnsetType = UNSET
    profile: UpstreamProfile | UnsetType | None = UNSET
    base_url: str | UnsetType = UNSET
    models: TextList | UnsetType | None = UNSET
    credential: Annotated[str, Meta(description="Write-only")] | UnsetType | None = UNSET
    limits: LimitList | UnsetType | None = UNSET


class NewUpstream(UpstreamChange, frozen=True, kw_only=True):
    """An upstream to be added."""

    name: str


class UpstreamShape(Shown, frozen=True, kw_only=True):
    """An upstream, as read: of its credential no more than where it comes from and how it ends."""

    id: str
    name: str
    family: UpstreamFamily
    profile: UpstreamProfile
    base_url: str
    models: list[str] | None
    limits: list[str] = []
    credential_source: CredentialSource | None
    last4: str | None
    state: Literal["ready", "no_credential", "refused"]


class UpstreamPage(Shown, frozen=True, kw_only=True):
    """Upstreams, in the order in which a model's name is looked for."""

    data: list[UpstreamShape]
    next_cursor: str | None


class UpstreamTest(Shown, frozen=True, kw_only=True):
    """What came of asking an upstream for its models."""

    upstream: str
    result: ProbeResult
    status: int | None  # of its answer
    models: int | None  # how many it lists
    message: str


# ── corrections ───────────────────────────────────────────────────────────────────────────────────────────────────


class BulkCorrection(Sent, frozen=True, kw_only=True):
    """Calls that were charged their bound as `unconfirmed`, and what the upstream billed for all of them together."""

    unconfirmed: Literal[True]
    since: str
    until: str | None = None  # not included
    group: str | None = None
    to_usd: Usd
    reason: str
    dry_run: bool = True
    calls: int | None = None  # how many there were in the dry run; needed to post


class CorrectedCall(Shown, frozen=True, kw_only=True):
    """One of them."""

    request: str
    at: str
    member: str
    charged_usd: Usd
    to_usd: Usd


class CorrectionReport(Shown, frozen=True, kw_only=True):
    """What was posted, or would be."""

    dry_run: bool
    calls: int
    charged_usd: Usd
    to_usd: Usd
    data: list[CorrectedCall]  # the first 1,000


# ── the server itself ─────────────────────────────────────────────────────────────────────────────────────────────


class ClockAccepted(Shown, frozen=True, kw_only=True):
    """The server goes on by this clock."""

    latest_before: str  # the latest time that the ledger had seen
    now: str


# ── what a key may see of itself: numbers, never names (K21) ──────────────────────────────────────────────────────


class OwnKey(Shown, frozen=True, kw_only=True):
    """Which key asks."""

    id: str
    last4: str


class OwnGroup(Shown, frozen=True, kw_only=True):
    """What its group is called in public, and by which zone its windows turn."""

    title: str
    time_zone: str


class OwnLimit(Shown, frozen=True, kw_only=True):
    """A limit that binds the key: its amounts, or for a limit of all together only whether there is room."""

    limit: str
    scope: Literal["member", "key", "group", "workspace", "upstream"]
    used: Usd | int | UnsetType = UNSET
    reserved: Usd | int | UnsetType = UNSET
    remaining: Usd | int | UnsetType = UNSET
    resets_at: str | UnsetType | None = UNSET
    state: Literal["available", "used up"] | UnsetType = UNSET


class OwnUsage(Shown, frozen=True, kw_only=True):
    """What this key used in the last 30 days, by day of the group's zone and by model."""

    days: list[UsageRow]
    models: list[UsageRow]


class Privacy(Shown, frozen=True, kw_only=True):
    """What is kept of prompts and answers, and who may read it."""

    bodies: Literal["off", "flagged", "all"]
    days: int
    purpose: str
    readers: list[str]


class Me(Shown, frozen=True, kw_only=True):
    """The page of a key."""

    key: OwnKey
    group: OwnGroup
    models: list[str]  # those with a price that the policy opens
    endpoints: list[str]
    limits: list[OwnLimit]
    usage: OwnUsage
    privacy: Privacy
