"""Issuing a key inside a change: the secret is made here, handed back once, and kept as its digest (K1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import insert

from tuckshop.domain.keys import digest_of, new_secret
from tuckshop.services import fields
from tuckshop.services.changes import Edit
from tuckshop.services.fields import Columns
from tuckshop.services.shapes.keys import KeyChange, NewKey
from tuckshop.storage.schema import keys

# Columns that no audit row shows: digests, and free text that may name a person (P8).
_UNAUDITED: Final = frozenset(
    {
        *("workspace_id", "created_at", "name", "tags"),
        *("digest", "previous_digest", "taken_digest", "self_rotations"),
    }
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
    row, secret = new_key(edit, group_id=group_id, member_id=member_id, new=new)
    put_keys(edit, [row])
    return str(row["id"]), secret


def new_key(
    edit: Edit, *, group_id: str, member_id: str, new: NewKey
) -> tuple[dict[str, object], str]:
    """The row of a new key, not written yet, and its secret."""
    secret = new_secret()
    row: dict[str, object] = {
        "workspace_id": edit.workspace_id,
        "id": edit.new_id("key"),
        "group_id": group_id,
        "member_id": member_id,
        "name": None,
        "digest": digest_of(secret),
        "last4": secret[-4:],
        "limits": "[]",
        "models": None,
        "endpoints": None,
        "max_output_tokens": None,
        "tags": "[]",
        "expires_at": None,
        "state": "active",
        **key_columns(new),
        "created_at": edit.now_us,
    }
    return row, secret


def put_keys(edit: Edit, rows: Sequence[Mapping[str, object]]) -> None:
    """Write new keys and their audit rows."""
    if not rows:
        return
    edit.connection.execute(insert(keys), list(rows))
    for row in rows:
        edit.audit("key.create", str(row["id"]), None, audited_key(row))
        edit.touch(str(row["id"]))


def audited_key(columns: Mapping[str, object]) -> dict[str, object]:
    """What an audit row shows of a key's columns."""
    return {name: value for name, value in columns.items() if name not in _UNAUDITED}
