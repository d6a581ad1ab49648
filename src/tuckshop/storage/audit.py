"""
The audit trail: rows that each carry the hash of the one before, so that none can be changed or taken out unseen (K16).

The hash of a row is SHA-256 over the previous hash and the row's content as canonical JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from tuckshop.domain.actor import Actor
from tuckshop.storage import schema

FIRST_HASH: Final = bytes(32)  # what the first row of a workspace is chained to


def canonical(value: Any) -> str:
    """*value* as JSON that is the same for equal values: sorted names, no blanks. Decimals become their text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def actor_text(actor: Actor) -> str:
    """How a row names who acted: `operator`, `token:…`, `member:mem_…`."""
    return actor.kind if actor.id is None else f"{actor.kind}:{actor.id}"


def audit_row(
    *,
    workspace_id: str,
    number: int,
    at_us: int,
    actor: Actor,
    action: str,
    object_id: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    previous_hash: bytes,
) -> dict[str, Any]:
    """The row to insert, with its hash."""
    row: dict[str, Any] = {
        "workspace_id": workspace_id,
        "number": number,
        "at": at_us,
        "actor": actor_text(actor),
        "action": action,
        "object_id": object_id,
        "before": None if before is None else canonical(before),
        "after": None if after is None else canonical(after),
    }
    return {**row, "previous_hash": previous_hash, "hash": _hash(previous_hash, row)}


def first_broken_audit_row(connection: Connection, workspace_id: str) -> int | None:
    """The number of the first row that does not follow from the one before; None: the chain is whole."""
    rows = connection.execute(
        select(schema.audit)
        .where(schema.audit.c.workspace_id == workspace_id)
        .order_by(schema.audit.c.number)
        .execution_options(yield_per=1000)
    ).mappings()
    expected, previous_hash = 1, FIRST_HASH
    for row in rows:
        content = {
            name: value for name, value in row.items() if name not in ("previous_hash", "hash")
        }
        if (
            row["number"] != expected
            or row["previous_hash"] != previous_hash
            or row["hash"] != _hash(previous_hash, content)
        ):
            return expected
        expected, previous_hash = expected + 1, row["hash"]
    return None


def _hash(previous_hash: bytes, content: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(previous_hash + canonical(content).encode()).digest()
