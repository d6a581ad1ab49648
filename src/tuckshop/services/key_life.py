"""What becomes of a key inside a change: pause, resume, revoke, archive, and a new secret in place of the old one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from sqlalchemy import select, update

from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.errors import ConflictError
from tuckshop.domain.keys import digest_of, new_secret
from tuckshop.domain.records import VirtualKey
from tuckshop.services.changes import Edit
from tuckshop.services.issuing import audited_key
from tuckshop.services.shapes.keys import ShownKeyState
from tuckshop.storage.schema import claims, keys

Verb = Literal["pause", "resume", "revoke", "archive"]

# From which states each verb leads where. What is not here is refused; what changes nothing is fine.
VERBS: Final[Mapping[Verb, Mapping[str, str]]] = {
    "pause": {"active": "paused", "paused": "paused"},
    "resume": {"paused": "active", "active": "active"},
    "revoke": {
        "active": "revoked",
        "paused": "revoked",
        "revoked": "revoked",
        "archived": "archived",  # opens nothing either, and stays hidden
    },
    "archive": dict.fromkeys(("active", "paused", "revoked", "archived"), "archived"),
}


def follow(edit: Edit, before: Mapping[str, Any], verb: Verb) -> bool:
    """
    Do *verb* to the key whose row is *before*. What is revoked or archived never opens again.

    Returns:
        Whether that changed anything.
    Raises:
        ConflictError: The key's state does not allow it.
    """
    after = VERBS[verb].get(before["state"])
    if after is None:
        raise for_good(before)
    columns: dict[str, object] = {"state": after}
    if after in ("revoked", "archived"):
        columns |= {"previous_digest": None, "previous_until": None}
        if before["state"] not in ("revoked", "archived"):
            _void_links(edit, before)
    return bool(edit.alter(keys, f"key.{verb}", before, columns, audited=audited_key))


def rotate(
    edit: Edit,
    before: Mapping[str, Any],
    *,
    overlap_s: int = 0,
    besides: Mapping[str, object] | None = None,
) -> str:
    """
    Give the key whose row is *before* a new secret; all else carries over (M14).

    Args:
        overlap_s: How much longer the secret before opens.
        besides: Other columns that this changes.
    Returns:
        The secret, which nobody can read again.
    Raises:
        ConflictError: The key is revoked or archived.
    """
    if before["state"] in ("revoked", "archived"):
        raise for_good(before)
    secret = new_secret()
    columns: dict[str, object] = {
        "digest": digest_of(secret),
        "last4": secret[-4:],
        "previous_digest": before["digest"] if overlap_s else None,
        "previous_until": edit.now_us + overlap_s * US_PER_SECOND if overlap_s else None,
        **(besides or {}),
    }
    edit.alter(keys, "key.rotate", before, columns, audited=audited_key)
    return secret


def _void_links(edit: Edit, key: Mapping[str, Any]) -> None:
    """
    Void the open link of a member whose claimed *key* ends.

    It would hand out another: whoever ends a key because it leaked, or its holder is to have none, would see one come
    back out of a mail that was sent before. Keys that no link handed out end alone.
    """
    of_member = (claims.c.workspace_id == edit.workspace_id) & (
        claims.c.member_id == key["member_id"]
    )
    if not edit.connection.execute(
        select(claims.c.id).where(of_member, claims.c.key_id == key["id"]).limit(1)
    ).first():
        return
    open_ones = of_member & (claims.c.state == "open")
    for link_id in edit.connection.execute(select(claims.c.id).where(open_ones)).scalars().all():
        edit.audit("claim.void", link_id, None, {"member": key["member_id"], "key": key["id"]})
    edit.connection.execute(update(claims).where(open_ones).values(state="void"))


def for_good(row: Mapping[str, Any]) -> ConflictError:
    """Why nothing opens this key again."""
    return ConflictError(f"The key is {row['state']}, which is for good: issue a new one.")


def shown_state(key: VirtualKey, now_us: int) -> ShownKeyState:
    """The state of a key at a time: one whose time is over is expired, paused or not."""
    if (
        key.state in ("active", "paused")
        and key.expires_at_us is not None
        and key.expires_at_us <= now_us
    ):
        return "expired"
    return key.state


def key_row(edit: Edit, key_id: str) -> dict[str, Any]:
    """The row of a key that is here."""
    query = select(keys).where(keys.c.workspace_id == edit.workspace_id, keys.c.id == key_id)
    return dict(edit.connection.execute(query).mappings().one())
