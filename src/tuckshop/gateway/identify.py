"""Identify: who calls what, and may they call at all?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
from tuckshop.domain.rules.rules import Rules
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai import errors as wording

TAG_MAX: Final = 64


@dataclass(slots=True, kw_only=True)
class Arrival:
    """A request whose head has passed: who calls what."""

    request_id: str
    digest: bytes
    holder: Holder
    endpoint: Endpoint
    tag: str | None
    network: bytes | None = None  # digest of the one it came from (P12)
    rules: Rules | None = None  # that were held against it
    model: str = ""  # asked for, as it was written, once the body is read


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


def tag_of(headers: list[tuple[bytes, bytes]]) -> str | None:
    """
    What the caller wants the request to be found by.

    Raises:
        InvalidRequestError: It cannot be kept as it is.
    """
    for name, value in headers:
        if name == b"x-tuckshop-tag":
            tag = value.decode("latin-1")
            if len(tag) > TAG_MAX or not all("!" <= c <= "~" for c in tag):
                raise wording.bad_tag(TAG_MAX)
            return tag or None
    return None
