"""
Words about a person in the audit trail, closed with that person's key: the chain stays whole without them (P8).

Whoever writes an audit row wraps such a text: `edit.audit(action, id_, None, {"reason": Personal(id_, reason)})`. The
row keeps the ciphertext, which its hash is made of; reading opens it while the key lives, and says so afterwards.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tuckshop.storage.person_keys import PersonKeyGoneError, PersonKeys
from tuckshop.storage.sealing import SealError

ERASED: Final = "(erased)"  # what is shown in place of a text whose key was destroyed
_OF: Final = "of_person"
_SEALED: Final = "sealed"


@dataclass(frozen=True, slots=True)
class Personal:
    """A text that is about one member, or may be."""

    member_id: str
    text: str | None = field(repr=False)  # null stays null: there is nothing to close


def closed(value: Any, keys: PersonKeys, *, place: str) -> Any:
    """*value* as it is written: JSON, with each `Personal` in it closed."""
    if isinstance(value, Personal):
        if value.text is None:
            return None
        try:
            sealed = keys.seal(value.member_id, value.text.encode(), place=place)
        except PersonKeyGoneError:
            return ERASED  # what is done late about a person who is erased is told without words
        return {_OF: value.member_id, _SEALED: base64.b64encode(sealed).decode()}
    if isinstance(value, Mapping):
        return {name: closed(part, keys, place=place) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [closed(part, keys, place=place) for part in value]
    return value


def opened(value: Any, keys: PersonKeys, *, place: str) -> Any:
    """What `closed` wrote, as it may be shown now."""
    if isinstance(value, dict):
        if value.keys() == {_OF, _SEALED}:
            return _opened(value, keys, place)
        return {name: opened(part, keys, place=place) for name, part in value.items()}
    if isinstance(value, list):
        return [opened(part, keys, place=place) for part in value]
    return value


def words(member_id: str, sealed: bytes | None, keys: PersonKeys, *, place: str) -> str | None:
    """A text about a member that a column holds closed, as it may be shown now. For worker threads."""
    if sealed is None:
        return None
    try:
        return keys.open(member_id, sealed, place=place).decode()
    except (SealError, PersonKeyGoneError):
        return ERASED


def audit_place(workspace_id: str) -> str:
    """Where the texts of a workspace's audit trail stand."""
    return f"audit/{workspace_id}"


def _opened(value: Mapping[str, Any], keys: PersonKeys, place: str) -> str:
    try:
        sealed = base64.b64decode(str(value[_SEALED]), validate=True)
        return keys.open(str(value[_OF]), sealed, place=place).decode()
    except (SealError, PersonKeyGoneError, binascii.Error):
        return ERASED
