"""
Calls that make something, sent twice: the second is told what the first made, and nothing is made again (M14).

A client names its call by a key of its own choice. The key is claimed in the transaction that makes the thing, so after
a crash either both are there or neither. Secrets are not kept: who repeats the issuing of a key gets a fresh secret for
the same key, as long as nobody has used it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.errors import InvalidFieldError
from tuckshop.services.changes import Edit
from tuckshop.storage.audit import actor_text
from tuckshop.storage.schema import idempotency_keys

KEPT_US: Final = 86_400 * US_PER_SECOND

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """The key of a call that may come again, and what it asks for, both as digests."""

    digest: bytes
    request_hash: bytes

    def part(self, number: int) -> Once:
        """Of a call that takes several transactions, the one that begins with the row of this *number*."""
        digest = hashlib.sha256(self.digest + b"%d" % number).digest()
        return Once(digest=digest, request_hash=self.request_hash)


def once(
    edit: Edit,
    claim: Once | None,
    make: Callable[[], T],
    *,
    told: Callable[[T], object],
    again: Callable[[Any], T],
) -> T:
    """
    What *make* makes, or, where this call was made before, what it made then.

    Args:
        claim: None: the client did not name its call.
        told: What is kept of it: ids, no secrets. A JSON value.
        again: From that, the answer to a repeat.
    Raises:
        InvalidFieldError: Another call was named so.
    """
    if claim is None:
        return make()
    table = idempotency_keys.c
    is_it = (
        table.workspace_id == edit.workspace_id,
        table.actor == actor_text(edit.actor),
        table.digest == claim.digest,
    )
    edit.connection.execute(
        delete(idempotency_keys).where(table.created_at <= edit.now_us - KEPT_US)
    )
    row = edit.connection.execute(
        select(table.request_hash, table.made).where(*is_it)
    ).one_or_none()
    if row is None:
        made = make()
        edit.connection.execute(
            insert(idempotency_keys).values(
                workspace_id=edit.workspace_id,
                actor=actor_text(edit.actor),
                digest=claim.digest,
                request_hash=claim.request_hash,
                made=_text(told(made)),
                created_at=edit.now_us,
            )
        )
        return made
    if row.request_hash != claim.request_hash:
        raise InvalidFieldError(
            "Idempotency-Key", "was sent with another call before: each call needs a key of its own"
        )
    repeated = again(msgspec.json.decode(row.made))
    if (text := _text(told(repeated))) != row.made:
        edit.connection.execute(update(idempotency_keys).where(*is_it).values(made=text))
    return repeated


def was_begun(connection: Connection, workspace_id: str, actor: Actor, claim: Once) -> bool:
    """Did an earlier call of this name make anything?"""
    table = idempotency_keys.c
    query = select(table.created_at).where(
        table.workspace_id == workspace_id,
        table.actor == actor_text(actor),
        table.digest == claim.digest,
    )
    return connection.execute(query).one_or_none() is not None


def same(made: T) -> T:
    """For what is kept and told as it is: an id."""
    return made


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
