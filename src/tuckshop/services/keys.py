"""Keys: issue, find, change, pause, resume, reset, rotate, revoke, archive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from sqlalchemy import Row, Select, case, func, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ConflictError
from tuckshop.domain.policy import policy_of
from tuckshop.domain.records import VirtualKey
from tuckshop.domain.reservation import Scope
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.issuing import (
    NOT_AGAIN,
    audited_key,
    issue,
    issue_again,
    key_columns,
    told_of,
)
from tuckshop.services.key_life import Verb, follow, key_row, rotate, shown_state
from tuckshop.services.once import Once, once
from tuckshop.services.paging import PAGE_DEFAULT, cursor_after, mark_of
from tuckshop.services.reissuing import Reissue
from tuckshop.services.search import seen_by
from tuckshop.services.shapes.keys import (
    KeyChange,
    KeyPage,
    KeyShape,
    NewKey,
    Rotation,
)
from tuckshop.services.shapes.standing import LimitStanding
from tuckshop.services.standing import standings_of
from tuckshop.services.versions import Expected
from tuckshop.storage.database import Database
from tuckshop.storage.rows import key_of
from tuckshop.storage.schema import folded, keys, requests

ListedKeys = Literal["active", "paused", "revoked", "expired", "archived", "all"]


class Keys:
    """What staff do with keys."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        ledger: Ledger,
        database: Database,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._ledger = ledger
        self._database = database
        self._clock = clock

    async def issue(
        self, actor: Actor, member_id: str, new: NewKey, *, claim: Once | None = None
    ) -> KeyShape:
        """
        A new key of a member, its secret in the answer and nowhere else.

        Raises:
            NotFoundError: No such member.
            InvalidFieldsError: Fields that cannot be taken.
            ConflictError: The member or its group is archived.
        """
        member = self._directory.member(member_id, actor)
        if "archived" in (member.state, self._directory.group_of(member).state):
            raise ConflictError("The member or its group is archived: resume it first.")
        key_columns(new)  # refused before anything is queued

        def make(edit: Edit) -> tuple[str, str | None]:
            return issue(edit, group_id=member.group_id, member_id=member_id, new=new)

        def work(edit: Edit) -> tuple[str, str | None]:
            return once(
                edit,
                claim,
                lambda: make(edit),
                told=lambda made: told_of(made, edit.now_us),
                again=lambda told: issue_again(edit, *told),
            )

        key_id, secret = await self._changes.make(actor, work)
        return await self._shape(actor, key_id, secret, NOT_AGAIN if secret is None else UNSET)

    async def get(self, actor: Actor, key_id: str) -> KeyShape:
        """
        A key, with every limit in force.

        Raises:
            NotFoundError: No such key.
        """
        self._directory.key(key_id, actor)
        return await self._shape(actor, key_id)

    async def page(
        self,
        actor: Actor,
        *,
        member: str | None = None,
        group: str | None = None,
        state: ListedKeys | None = None,
        cursor: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> KeyPage:
        """
        Keys, oldest first; archived ones only where *state* asks for them.

        Raises:
            NotFoundError: No such member or group.
            InvalidFieldError: The cursor.
        """
        workspace_id = self._directory.workspace.id
        query = (
            _with_last_use()
            .where(
                keys.c.workspace_id == workspace_id,
                keys.c.id > (mark_of(cursor) or ""),
                *seen_by(actor, keys.c.group_id),
            )
            .order_by(keys.c.id)
            .limit(limit + 1)
        )
        if member is not None:
            query = query.where(keys.c.member_id == self._directory.member(member, actor).id)
        if group is not None:
            query = query.where(keys.c.group_id == self._directory.group(group, actor).id)
        now_us = self._clock.now_us()
        expired = keys.c.expires_at.is_not(None) & (keys.c.expires_at <= now_us)
        if state is None:
            query = query.where(keys.c.state != "archived")
        elif state == "expired":
            query = query.where(keys.c.state.in_(("active", "paused")), expired)
        elif state in ("active", "paused"):
            query = query.where(keys.c.state == state, ~expired)
        elif state != "all":
            query = query.where(keys.c.state == state)
        rows = await self._read(query)
        shapes = await self._shapes(actor, rows[:limit])
        return KeyPage(
            data=shapes,
            next_cursor=cursor_after(rows[limit - 1].id) if len(rows) > limit else None,
        )

    async def change(
        self,
        actor: Actor,
        key_id: str,
        change: KeyChange,
        *,
        expected: Expected | None = None,
    ) -> KeyShape:
        """
        Change any part of a key.

        Raises:
            NotFoundError: No such key.
            InvalidFieldsError: Fields that cannot be taken; then nothing is changed.
            StaleVersionError: It is another version than *expected*.
        """
        self._directory.key(key_id, actor)
        columns = key_columns(change)

        def work(edit: Edit) -> None:
            before = key_row(edit, key_id)
            _check_version(edit, before, expected)
            changed = edit.alter(keys, "key.change", before, columns, audited=audited_key)
            if "limits" in changed:
                self._ledger.forget_kinds(edit.transaction)

        await self._changes.make(actor, work)
        return await self._shape(actor, key_id)

    async def set_state(self, actor: Actor, key_id: str, verb: Verb) -> KeyShape:
        """
        Pause, resume, revoke or archive. What is revoked or archived never opens again.

        Raises:
            NotFoundError: No such key.
            ConflictError: The key's state does not allow it.
        """
        self._directory.key(key_id, actor)

        def work(edit: Edit) -> None:
            follow(edit, key_row(edit, key_id), verb)

        await self._changes.make(actor, work)
        return await self._shape(actor, key_id)

    async def delete(
        self, actor: Actor, key_id: str, *, expected: Expected | None = None
    ) -> KeyShape:
        """
        Revoke and archive.

        Raises:
            NotFoundError: No such key.
            StaleVersionError: It is another version than *expected*.
        """
        self._directory.key(key_id, actor)

        def work(edit: Edit) -> None:
            _check_version(edit, key_row(edit, key_id), expected)
            follow(edit, key_row(edit, key_id), "revoke")
            follow(edit, key_row(edit, key_id), "archive")

        await self._changes.make(actor, work)
        return await self._shape(actor, key_id)

    async def reset(self, actor: Actor, key_id: str, *, with_total: bool) -> KeyShape:
        """
        Start the running windows of the key's own limits afresh, at what open calls hold.

        Raises:
            NotFoundError: No such key.
        """
        self._directory.key(key_id, actor)

        def work(edit: Edit) -> None:
            self._ledger.reset_in(
                edit.transaction, [Scope("key", key_id)], edit.actor, with_total=with_total
            )
            edit.audit("key.reset", key_id, None, {"with_total": with_total})

        await self._changes.make(actor, work)
        return await self._shape(actor, key_id)

    async def rotate(self, actor: Actor, key_id: str, rotation: Rotation) -> KeyShape:
        """
        A new secret; the one before opens for the overlap longer. All else carries over (M14).

        Raises:
            NotFoundError: No such key.
            InvalidFieldError: The overlap.
            ConflictError: The key is revoked or archived.
        """
        self._directory.key(key_id, actor)
        overlap_s = Reissue.of(rotation.overlap).overlap_s

        def work(edit: Edit) -> str:
            return rotate(edit, key_row(edit, key_id), overlap_s=overlap_s)

        secret = await self._changes.make(actor, work)
        return await self._shape(actor, key_id, secret)

    async def _shape(
        self,
        actor: Actor,
        key_id: str,
        secret: str | None = None,
        note: str | UnsetType = UNSET,
    ) -> KeyShape:
        rows = await self._read(
            _with_last_use().where(
                keys.c.workspace_id == self._directory.workspace.id, keys.c.id == key_id
            )
        )
        shape = (await self._shapes(actor, rows))[0]
        return replace(shape, key=UNSET if secret is None else secret, note=note)

    async def _read(self, query: Select[tuple[str, int | None]]) -> Sequence[Row[Any]]:
        def read() -> Sequence[Row[Any]]:
            with self._database.reader() as connection:
                return connection.execute(query).all()

        await self._ledger.flush()
        return await asyncio.to_thread(read)

    async def _shapes(self, actor: Actor, rows: Sequence[Row[Any]]) -> list[KeyShape]:
        last_uses = {row.id: row.last_used_at for row in rows}
        chosen = self._directory.known_keys(last_uses)
        now_us = self._clock.now_us()
        standings = await standings_of(
            self._ledger,
            [policy_of(self._directory.holder(key.id)).limits for key in chosen],
            actor,
        )
        return [
            _shape(key, now_us, last_uses[key.id], in_force)
            for key, in_force in zip(chosen, standings, strict=True)
        ]


def _shape(
    key: VirtualKey, now_us: int, last_use_us: int | None, in_force: list[LimitStanding]
) -> KeyShape:
    return KeyShape(
        id=key.id,
        member=key.member_id,
        name=key.name,
        last4=key.last4,
        limits=[str(limit) for limit in key.limits],
        models=None if key.models is None else list(key.models),
        endpoints=None if key.endpoints is None else list(key.endpoints),
        max_output_tokens=key.max_output_tokens,
        tags=list(key.tags),
        expires_at=None if key.expires_at_us is None else rfc3339(key.expires_at_us),
        last_used_at=None if last_use_us is None else rfc3339(last_use_us),
        state=shown_state(key, now_us),
        taken_from=key.taken_from,
        in_force=in_force,
    )


def _check_version(edit: Edit, row: Mapping[str, Any], expected: Expected | None) -> None:
    if expected is not None:
        expected.check(edit, _shape(key_of(row), edit.now_us, None, []), row["id"])


def _with_last_use() -> Select[tuple[str, int | None]]:
    last_use = (
        select(requests.c.admitted_at)
        .where(
            requests.c.workspace_id == keys.c.workspace_id,
            requests.c.member_id == keys.c.member_id,
            requests.c.key_id == keys.c.id,
        )
        .order_by(requests.c.admitted_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    last_folded = (
        select(func.max(folded.c.last_at))
        .where(
            folded.c.workspace_id == keys.c.workspace_id,
            folded.c.member_id == keys.c.member_id,
            folded.c.key_id == keys.c.id,
        )
        .scalar_subquery()
    )
    last = case((last_folded > func.coalesce(last_use, 0), last_folded), else_=last_use)
    return select(keys.c.id, last.label("last_used_at"))
