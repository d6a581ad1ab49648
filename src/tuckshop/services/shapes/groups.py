"""Groups and their policies."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from msgspec import UNSET, Meta, UnsetType, field

from tuckshop.domain.body_logging import NO_LOGGING, Logging
from tuckshop.domain.flags import Strikes
from tuckshop.domain.moderation import NO_MODERATION, Moderation
from tuckshop.domain.records import OnDisconnect, State, UnknownParameters
from tuckshop.domain.rules.rules import Rules
from tuckshop.services.shapes.parts import LimitList, OutputCap, Sent, Shown, TextList, Versioned
from tuckshop.services.shapes.standing import LimitStanding
from tuckshop.services.shapes.worst_case import WorstCaseShape

LOG_DAYS: Final = 400
# A month's counter is kept for 32 days after its end: what is folded lies behind all but `year` and `total`.
LOG_DAYS_MIN: Final = 70


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
    strikes: Strikes | UnsetType | None = UNSET
    logging: Logging | UnsetType | None = UNSET
    log_days: Annotated[int, Meta(ge=LOG_DAYS_MIN, le=3660)] | UnsetType | None = UNSET
    rules: Rules | UnsetType | None = UNSET
    pseudonyms: bool | UnsetType | None = UNSET  # put off again only with a reason, by `unmask`
    state: State | UnsetType = UNSET


class NewGroup(GroupChange, frozen=True, kw_only=True):
    """A group to be made."""

    name: str


class GroupShape(Versioned, frozen=True, kw_only=True):
    """A group, as read."""

    moves_by_itself: ClassVar[frozenset[str]] = frozenset({"in_force", "worst_case"})

    id: str
    name: str
    title: str
    time_zone: str
    models: list[str] | None
    endpoints: list[str] | None
    tools: list[str] = field(default_factory=list)
    each: list[str]
    shared: list[str]
    carry_over: str | None
    max_output_tokens: int | None
    min_output_tokens: int
    patience_s: int
    on_disconnect: OnDisconnect
    unknown_parameters: UnknownParameters
    provider_storage: Literal["on", "off"] = "off"
    objects: Literal["own", "shared"] = "own"
    show_shared: bool
    self_rotate: bool
    moderation: Moderation = NO_MODERATION
    strikes: Strikes | None = None
    logging: Logging = NO_LOGGING
    log_days: int
    rules: Rules | None = None
    pseudonyms: bool
    state: State
    in_force: list[LimitStanding]
    worst_case: WorstCaseShape


class GroupReset(Sent, frozen=True, kw_only=True):
    """Which windows start afresh."""

    what: Literal["each", "shared", "all"] = "all"


class GroupPage(Shown, frozen=True, kw_only=True):
    """Groups, oldest first."""

    data: list[GroupShape]
    next_cursor: str | None
