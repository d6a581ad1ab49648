"""The people and their keys, as everything above storage sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tuckshop.domain.actor import StaffRole
from tuckshop.domain.body_logging import NO_LOGGING, Logging
from tuckshop.domain.flags import Strikes
from tuckshop.domain.limits import Limit
from tuckshop.domain.moderation import Moderation
from tuckshop.domain.privacy import NO_STATEMENT, PrivacyStatement
from tuckshop.domain.reservation import CarryOver
from tuckshop.domain.rules.rules import Rules
from tuckshop.domain.windows import ZoneHistory

State = Literal["active", "paused", "archived"]
KeyState = Literal["active", "paused", "revoked", "archived"]  # expired is told by `expires_at`
TokenState = Literal["active", "revoked"]  # expired is told by `expires_at`
OnDisconnect = Literal["drain", "cancel"]
UnknownParameters = Literal["refuse", "pass"]
UpstreamFamily = Literal["openai"]
UpstreamProfile = Literal["openai", "compatible"]
# Which addresses an upstream may be dialled at: its operator's word is good for any (K20).
Reach = Literal["any", "public"]
# Whose word the credential is: the server's own settings, or a change by the API, kept sealed. None: it has none.
CredentialSource = Literal["setting", "sealed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A tenant. A fresh install has one and shows no trace of it."""

    id: str
    zone: ZoneHistory
    limits: tuple[Limit, ...] = ()
    privacy: PrivacyStatement = NO_STATEMENT  # what its papers say and nothing else tells
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    max_output_tokens: int | None = None
    moderation: Moderation | None = None  # the least that every group's calls are checked
    pseudonyms: bool = False  # as of a group: of all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRecord:
    """A provider account, as it is kept. The credential itself is not here."""

    id: str
    workspace_id: str
    name: str
    family: UpstreamFamily
    profile: UpstreamProfile
    base_url: str
    models: tuple[str, ...] | None  # globs; None: all that have a price
    reach: Reach
    credential_source: CredentialSource | None
    sealed: bytes | None = field(repr=False)
    last4: str | None

    @property
    def rank(self) -> tuple[bool, str]:
        """Where it stands among the others: that of the settings first, then the oldest."""
        return self.credential_source != "setting", self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Members who share a policy."""

    id: str
    workspace_id: str
    name: str
    title: str
    zone: ZoneHistory
    each: tuple[Limit, ...]
    shared: tuple[Limit, ...]
    models: tuple[str, ...] | None
    endpoints: tuple[str, ...] | None
    max_output_tokens: int | None
    min_output_tokens: int
    patience_s: float
    on_disconnect: OnDisconnect
    unknown_parameters: UnknownParameters
    show_shared: bool
    state: State
    self_rotate: bool = False  # may holders give their keys a new secret?
    carry_over: CarryOver | None = None
    strikes: Strikes | None = None  # None: flags pause nobody
    logging: Logging = NO_LOGGING
    log_days: int = 400  # older rows of the request log are folded into sums (P9)
    rules: Rules | None = None  # of its own, for its calls
    moderation: Moderation | None = None  # how its calls are checked; None: not at all
    pseudonyms: bool = False  # staff see pseudonyms in place of external ids, names and addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person in one group."""

    id: str
    group_id: str
    external_id: str
    name: str | None
    email: str | None
    limits: tuple[Limit, ...]
    models: tuple[str, ...] | None
    endpoints: tuple[str, ...] | None
    max_output_tokens: int | None
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualKey:
    """A key as we keep it. The secret was shown once and is not here."""

    id: str
    group_id: str
    member_id: str
    name: str | None
    digest: bytes = field(repr=False)  # SHA-256 of the secret, 32 bytes
    last4: str  # all that a listing or a log may show
    previous_digest: bytes | None = field(repr=False, default=None)  # of the secret before rotation
    previous_until_us: int | None = None  # until when that one still opens
    limits: tuple[Limit, ...]
    models: tuple[str, ...] | None
    endpoints: tuple[str, ...] | None
    max_output_tokens: int | None
    tags: tuple[str, ...]
    expires_at_us: int | None  # None: never
    state: KeyState
    taken_from: str | None = None  # the gateway it was taken over from
    taken_digest: bytes | None = field(repr=False, default=None)  # of the secret it came with

    @property
    def has_foreign_secret(self) -> bool:
        """Does a secret in the format of another gateway open it, now or for an overlap?"""
        return self.taken_digest is not None and self.taken_digest in (
            self.digest,
            self.previous_digest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffToken:
    """A token of staff as we keep it. The secret was shown once and is not here."""

    id: str
    name: str
    role: StaffRole
    group_ids: frozenset[str]  # it reaches what is in these, and nothing else
    digest: bytes = field(repr=False)  # SHA-256 of the secret, 32 bytes
    last4: str  # all that a listing or a log may show
    expires_at_us: int | None  # None: never
    state: TokenState
    created_by: str  # as the audit trail names who made it
    created_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The chain that a key stands at the end of: what *identify* finds."""

    key: VirtualKey
    member: Member
    group: Group
    workspace: Workspace
    directory_version: int
