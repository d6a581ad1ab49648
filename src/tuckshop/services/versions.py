"""
Which version of an object a change is based on, so that nobody overwrites what they have not seen.

A version is told by a tag over everything that staff can edit. It is computed of the object as it is shown, without
what moves by itself (what its limits have used), so that a client's copy stays good while calls go on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import select

from tuckshop.domain.errors import StaleVersionError
from tuckshop.services.changes import Edit
from tuckshop.services.fields import rfc3339
from tuckshop.services.shapes.parts import Versioned
from tuckshop.storage.schema import audit

_TAG_DIGITS: Final = 32  # 128 bits
_LOOK_BACK: Final = 10_000  # rows of the audit trail that are looked at for who changed it
ANY: Final = "*"


def tag_of(shape: Versioned) -> str:
    """The tag of the version that *shape* shows, without quotes."""
    shown = {
        name: getattr(shape, name)
        for name in shape.__struct_fields__
        if name not in shape.moves_by_itself
    }
    content = msgspec.json.encode([type(shape).__name__, shown], order="sorted")
    return hashlib.sha256(content).hexdigest()[:_TAG_DIGITS]


@dataclass(frozen=True, slots=True)
class Expected:
    """The versions that a change may be based on; ANY: whatever it is, so long as it is there."""

    tags: frozenset[str]

    def check(self, edit: Edit, now: Versioned, object_id: str) -> None:
        """
        Go on only if *now*, the object as this transaction finds it, is one of them.

        Raises:
            StaleVersionError: Somebody changed it since; says who, when and what.
        """
        if ANY not in self.tags and tag_of(now) not in self.tags:
            raise StaleVersionError(f"It was changed since you read it{_by_whom(edit, object_id)}")


def _by_whom(edit: Edit, object_id: str) -> str:
    columns = audit.c
    newest = edit.connection.execute(
        select(columns.number)
        .where(columns.workspace_id == edit.workspace_id)
        .order_by(columns.number.desc())
        .limit(1)
    ).scalar_one_or_none()
    row = edit.connection.execute(
        select(columns.actor, columns.action, columns.at, columns.after)
        .where(
            columns.workspace_id == edit.workspace_id,
            columns.number > (newest or 0) - _LOOK_BACK,
            columns.object_id == object_id,
        )
        .order_by(columns.number.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return "."
    after = {} if row.after is None else msgspec.json.decode(row.after)
    fields = f" ({', '.join(sorted(after))})" if after else ""
    return f", last by {row.actor}: {row.action}{fields} at {rfc3339(row.at)}."
