"""What holds over all groups together."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from tuckshop.domain.moderation import NO_MODERATION, Moderation
from tuckshop.services.shapes.parts import LimitList, OutputCap, Sent, TextList, Versioned
from tuckshop.services.shapes.standing import LimitStanding


class WorkspaceChange(Sent, frozen=True, kw_only=True):
    """Any part of the policy over all groups."""

    limits: LimitList | UnsetType | None = UNSET
    models: TextList | UnsetType | None = UNSET
    endpoints: TextList | UnsetType | None = UNSET
    max_output_tokens: OutputCap | UnsetType | None = UNSET
    moderation: Moderation | UnsetType | None = UNSET
    pseudonyms: bool | UnsetType | None = UNSET  # put off again only with a reason, by `unmask`


class WorkspaceShape(Versioned, frozen=True, kw_only=True):
    """The policy over all groups together, as read. Its windows are those of the server's time zone."""

    limits: list[str]
    models: list[str] | None
    endpoints: list[str] | None
    max_output_tokens: int | None
    pseudonyms: bool
    moderation: Moderation = NO_MODERATION
    time_zone: str
    in_force: list[LimitStanding]
