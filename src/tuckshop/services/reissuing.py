"""Keys for those members who have none that opens, and new secrets for those who have."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from tuckshop.domain.errors import InvalidFieldError
from tuckshop.services import fields
from tuckshop.services.changes import Edit
from tuckshop.services.fields import InvalidValueError
from tuckshop.services.issuing import KeyTold, issue_again, new_key, put_keys, told_of
from tuckshop.services.key_life import key_row, rotate
from tuckshop.services.shapes.keys import NewKey
from tuckshop.storage.schema import keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Reissue:
    """That members who have an active key get a new secret for it."""

    overlap_s: int = 0  # how long the one before opens on

    @classmethod
    def of(cls, overlap: str | None) -> Reissue:
        """
        One with an overlap as people write it (``24h``).

        Raises:
            InvalidFieldError: The overlap.
        """
        if overlap is None:
            return cls()
        try:
            return cls(overlap_s=fields.overlap(overlap))
        except InvalidValueError as error:
            raise InvalidFieldError("overlap", str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A key whose secret was made just now. None: somebody has the one that a lost answer told, so it stays."""

    key_id: str
    secret: str | None = field(repr=False)
    is_rotated: bool
    name: str | None
    expires_at_us: int | None


def hand_out(
    edit: Edit, group_id: str, member_ids: Sequence[str], *, reissue: Reissue | None = None
) -> dict[str, Handed]:
    """
    By member: a key for each who has no active one; with *reissue*, a new secret of the oldest one for the others.

    A member's other keys go on as they are.
    """
    owned = _oldest_active_keys(edit, member_ids)
    handed: dict[str, Handed] = {}
    rows: list[dict[str, object]] = []
    for member_id in dict.fromkeys(member_ids):
        before = owned.get(member_id)
        if before is None:
            row, secret = new_key(edit, group_id=group_id, member_id=member_id, new=NewKey())
            rows.append(row)
            handed[member_id] = Handed(
                key_id=str(row["id"]),
                secret=secret,
                is_rotated=False,
                name=None,
                expires_at_us=None,
            )
        elif reissue is not None:
            handed[member_id] = Handed(
                key_id=before["id"],
                secret=rotate(edit, before, overlap_s=reissue.overlap_s),
                is_rotated=True,
                name=before["name"],
                expires_at_us=before["expires_at"],
            )
    put_keys(edit, rows)
    return handed


HandedTold = tuple[KeyTold, bool]


def told_of_handed(handed: Mapping[str, Handed], now_us: int) -> dict[str, HandedTold]:
    """What is kept of them for whoever repeats the call."""
    return {
        member_id: (told_of((one.key_id, one.secret), now_us), one.is_rotated)
        for member_id, one in handed.items()
    }


def hand_out_again(edit: Edit, told: Mapping[str, HandedTold]) -> dict[str, Handed]:
    """The same keys where the answer got lost: those that nobody used have fresh secrets."""
    handed: dict[str, Handed] = {}
    for member_id, (key_told, is_rotated) in told.items():
        key_id, secret = issue_again(edit, *key_told)
        row = key_row(edit, key_id)
        handed[member_id] = Handed(
            key_id=key_id,
            secret=secret,
            is_rotated=is_rotated,
            name=row["name"],
            expires_at_us=row["expires_at"],
        )
    return handed


def _oldest_active_keys(edit: Edit, member_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    query = (
        select(keys)
        .where(
            keys.c.workspace_id == edit.workspace_id,
            keys.c.member_id.in_(member_ids),
            is_active_key(edit.now_us),
        )
        .order_by(keys.c.id.desc())
    )
    return {row["member_id"]: dict(row) for row in edit.connection.execute(query).mappings()}


def is_active_key(now_us: int) -> ColumnElement[bool]:
    """That a row of the table of keys opens at *now_us*."""
    return (keys.c.state == "active") & or_(keys.c.expires_at.is_(None), keys.c.expires_at > now_us)
