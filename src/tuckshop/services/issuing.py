"""Issuing a key inside a change: the secret is made here, handed back once, and kept as its digest (K1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import insert, or_, select

from tuckshop.domain.ids import new_id
from tuckshop.domain.keys import digest_of, new_secret
from tuckshop.services import fields
from tuckshop.services.changes import Edit
from tuckshop.services.fields import Columns
from tuckshop.services.shapes import KeyChange, NewKey
from tuckshop.storage.schema import keys

# Columns that no audit row shows: digests, and free text that may name a person (P8).
_UNAUDITED: Final = frozenset(
    {"workspace_id", "created_at", "digest", "previous_digest", "name", "tags"}
)


def key_columns(change: KeyChange) -> dict[str, object]:
    """
    The columns that *change* sets.

    Raises:
        InvalidFieldsError: Fields that cannot be taken.
    """
    columns = Columns()
    columns.set("name", change.name, fields.text)
    columns.set("limits", change.limits, fields.limits, unset="[]")
    columns.set("models", change.models, fields.models)
    columns.set("endpoints", change.endpoints, fields.endpoints)
    columns.set("max_output_tokens", change.max_output_tokens, fields.same)
    columns.set("tags", change.tags, fields.tags, unset="[]")
    columns.set("expires_at", change.expires_at, fields.instant)
    return columns.check()


def issue(edit: Edit, *, group_id: str, member_id: str, new: NewKey) -> tuple[str, str]:
    """A new key of a member: its id and its secret, which nobody can read again."""
    columns = key_columns(new)
    secret = new_secret()
    key_id = new_id("key", edit.now_us)
    row: dict[str, object] = {
        "workspace_id": edit.workspace_id,
        "id": key_id,
        "group_id": group_id,
        "member_id": member_id,
        "digest": digest_of(secret),
        "last4": secret[-4:],
        "limits": "[]",
        "tags": "[]",
        "state": "active",
        **columns,
        "created_at": edit.now_us,
    }
    edit.connection.execute(insert(keys), row)
    edit.audit("key.create", key_id, None, audited_key(row))
    edit.touch(key_id)
    return key_id, secret


def has_active_key(edit: Edit, member_id: str) -> bool:
    """Whether the member has a key that opens now."""
    query = (
        select(keys.c.id)
        .where(
            keys.c.workspace_id == edit.workspace_id,
            keys.c.member_id == member_id,
            keys.c.state == "active",
            or_(keys.c.expires_at.is_(None), keys.c.expires_at > edit.now_us),
        )
        .limit(1)
    )
    return edit.connection.execute(query).first() is not None


def audited_key(columns: Mapping[str, object]) -> dict[str, object]:
    """What an audit row shows of a key's columns."""
    return {name: value for name, value in columns.items() if name not in _UNAUDITED}
