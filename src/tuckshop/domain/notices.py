"""What staff are told of without asking."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, get_args

import msgspec

NoticeKind = Literal[
    "flag",  # a content was flagged
    "strike",  # so many that a key or a member was paused
    "appeal",  # a member asks to look at a flag again
    "member_budget",  # a member has used a part of a money limit
    "shared_budget",  # a group has used a part of what its members share
    "upstream_refused",  # an upstream refuses its credential, or its account is out of money
    "revoked_key_used",  # somebody calls with a key that was revoked
    "unusual_spend",  # a key spends far more than it used to
    "alarm",  # the server found something that its operator should look at
    "webhook_paused",  # a receiver of webhooks took nothing for days, and gets no more
]
NOTICE_KINDS: Final[tuple[NoticeKind, ...]] = get_args(NoticeKind)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell. It holds ids and numbers, never names and never content."""

    kind: NoticeKind
    workspace_id: str
    group_id: str | None = None
    member_id: str | None = None
    key_id: str | None = None
    request_id: str | None = None
    facts: Mapping[str, str | int | float | bool | Decimal | None] = msgspec.field(
        default_factory=dict
    )
    once: str | None = None  # two notices with the same are one; None: each is told
