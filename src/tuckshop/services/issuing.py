"""Issuing a key inside a change: the secret is made here, handed back once, and kept as its digest (K1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import insert, select

from tuckshop.domain.keys import digest_of, new_secret
from tuckshop.domain.records import Member
from tuckshop.services import fields
from tuckshop.services.changes import Edit
from tuckshop.services.fields import Columns
from tuckshop.services.shapes.keys import KeyChange, NewKey
from tuckshop.services.shapes.takeover import TakenKey
from tuckshop.storage.schema import keys, requests

KeyTold = tuple[str, str | None, int]

# What is said in place of a secret that may be somebody's.
NOT_AGAIN: Final = (
    "The key was used, closed or rotated since it was issued, so its secret is not given again: "
    "rotate it for a new one."
)

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


def issue_again(
    edit: Edit, key_id: str, digest: str | None, issued_us: int
) -> tuple[str, str | None]:
    """
    A key whose issuing is repeated, with a fresh secret in place of the one that got lost on its way.

    Args:
        digest: Of the secret that was given out, in hex; None: there is none to replace.
        issued_us: When it was.
    Returns:
        No secret where the key was used, closed or rotated since: then somebody has the one that opens it.
    """
    row = edit.connection.execute(
        select(keys).where(keys.c.workspace_id == edit.workspace_id, keys.c.id == key_id)
    ).mappings()
    before = dict(row.one())
    if (
        before["state"] != "active"
        or before["digest"].hex() != digest
        or _was_used(edit, before, issued_us)
    ):
        return key_id, None
    secret = new_secret()
    columns = {"digest": digest_of(secret), "last4": secret[-4:]}
    edit.alter(keys, "key.rotate", before, columns, audited=audited_key)
    return key_id, secret


def told_of(issued: tuple[str, str | None], now_us: int) -> KeyTold:
    """What is kept of an issued key for whoever repeats the call: its id, the digest of its secret, and when."""
    key_id, secret = issued
    return key_id, None if secret is None else digest_of(secret).hex(), now_us


def _was_used(edit: Edit, key: Mapping[str, Any], since_us: int) -> bool:
    columns = requests.c
    query = select(columns.id).where(
        columns.workspace_id == edit.workspace_id,
        columns.member_id == key["member_id"],  # there is an index by member
        columns.key_id == key["id"],
        columns.admitted_at >= since_us,
    )
    return edit.connection.execute(query.limit(1)).one_or_none() is not None


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


def taken_key(edit: Edit, *, member: Member, new: TakenKey, gateway: str) -> dict[str, object]:
    """The row of a key that is taken over from another gateway, not written yet: it opens by the secret it has."""
    digest = bytes.fromhex(new.digest)
    row, _ = new_key(edit, group_id=member.group_id, member_id=member.id, new=new)
    return row | {
        "digest": digest,
        "last4": new.last4,
        "state": new.state,
        "taken_from": gateway,
        "taken_digest": digest,
    }


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
