"""Identify: may the holder of this key call at all?"""

from __future__ import annotations

from tuckshop.domain.errors import (
    GroupPausedError,
    InvalidApiKeyError,
    KeyArchivedError,
    KeyExpiredError,
    KeyPausedError,
    KeyRevokedError,
    MemberPausedError,
)
from tuckshop.domain.records import Holder


def may_call(holder: Holder | None, now_us: int) -> Holder:
    """
    *holder*, if its key may be used now.

    Raises:
        RefusalError: Unknown; revoked, expired, archived; paused: the key, its member or its group.
    """
    if holder is None:
        raise InvalidApiKeyError("this key is not known here")
    key, member, group = holder.key, holder.member, holder.group
    if key.state == "revoked":
        raise KeyRevokedError
    if "archived" in (key.state, member.state, group.state):
        raise KeyArchivedError
    if key.expires_at_us is not None and key.expires_at_us <= now_us:
        raise KeyExpiredError
    if key.state == "paused":
        raise KeyPausedError
    if member.state == "paused":
        raise MemberPausedError
    if group.state == "paused":
        raise GroupPausedError
    return holder
