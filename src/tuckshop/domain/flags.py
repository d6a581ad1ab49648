"""What a check of a call found, without the content it was found in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

# The provider's verdict on what was asked, or on the answer; or a rule of the group's own.
FlagSource = Literal["moderation", "output", "rule"]
FlagAction = Literal["blocked", "noted", "redacted"]
FlagState = Literal["open", "upheld", "dismissed"]
StrikePause = Literal["member", "key", "none"]


class Strikes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many contents of a member's own are too many: *count* of them in *days*."""

    count: Annotated[int, Meta(ge=1, le=1_000)] = 3
    days: Annotated[int, Meta(ge=1, le=366)] = 30
    pause: StrikePause = "member"  # what then stops; "none": staff are told, and that is all


class NewFlag(msgspec.Struct, frozen=True, kw_only=True):
    """A content that was found, to be written down."""

    workspace_id: str
    group_id: str
    member_id: str
    key_id: str
    request_id: str
    source: FlagSource
    action: FlagAction
    reasons: tuple[str, ...]  # categories, or names of rules
    scores: Mapping[str, float] = msgspec.field(default_factory=dict)  # per category
    content: bytes  # keyed digest of it: equal contents are one
    is_own: (
        bool  # the member said it, not a document or a tool: only such contents count as strikes
    )


class Flags(Protocol):
    """Where flags are written down."""

    def note(self, flag: NewFlag) -> None:
        """Write *flag*, or count it where the member's content has one already; returns at once."""
