"""Upstreams."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType, field

from tuckshop.domain.records import CredentialSource, UpstreamFamily, UpstreamProfile
from tuckshop.services.shapes.parts import LimitList, Sent, Shown, TextList, Versioned
from tuckshop.upstreams.probe import ProbeResult


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


class UpstreamShape(Versioned, frozen=True, kw_only=True):
    """An upstream, as read: of its credential no more than where it comes from and how it ends."""

    moves_by_itself: ClassVar[frozenset[str]] = frozenset({"state"})

    id: str
    name: str
    family: UpstreamFamily
    profile: UpstreamProfile
    base_url: str
    models: list[str] | None
    limits: list[str] = field(default_factory=list)
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
