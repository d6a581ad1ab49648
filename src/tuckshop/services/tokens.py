"""
Tokens of staff: make, read, revoke.

A token has a role and the groups in which it has it. Who makes one gives no more than they hold: at most their own
role, groups of their own, not longer than they have it themselves (K6).
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET
from sqlalchemy import ColumnElement, insert, select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import (
    InvalidFieldError,
    InvalidFieldsError,
    NotFoundError,
    NotPermittedError,
)
from tuckshop.domain.keys import digest_of, new_staff_secret
from tuckshop.domain.records import StaffToken
from tuckshop.services import fields
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import InvalidValueError, rfc3339
from tuckshop.services.once import Once, once
from tuckshop.services.paging import PAGE_DEFAULT, cursor_after, mark_of
from tuckshop.services.shapes.tokens import NewToken, ShownTokenState, TokenPage, TokenShape
from tuckshop.storage.audit import actor_text
from tuckshop.storage.rows import text_of_list
from tuckshop.storage.schema import staff_tokens

ListedTokens = Literal["active", "expired", "revoked", "all"]
_UNAUDITED: Final = frozenset({"workspace_id", "created_at", "created_by", "digest", "name"})


class Tokens:
    """What is done with tokens."""

    def __init__(self, changes: Changes, directory: Directory, clock: Clock) -> None:
        self._changes = changes
        self._directory = directory
        self._clock = clock

    async def create(self, actor: Actor, new: NewToken, *, claim: Once | None = None) -> TokenShape:
        """
        A new token, its secret in the answer and nowhere else. A repeat gives the same one another secret.

        Raises:
            InvalidFieldsError: Fields that cannot be taken; a group that the actor does not see is none.
            NotPermittedError: It would be more than the actor has.
        """
        name, group_ids = self._read(actor, new)
        expires_at_us = self._expiry(actor, new)
        if not actor.is_at_least(new.role):
            raise NotPermittedError(
                f"role: {new.role} is more than your token's own role, {actor.role}. The operator can give it."
            )
        secret = new_staff_secret()

        def make(edit: Edit) -> tuple[str, str | None]:
            token_id = edit.new_id("tok")
            row: dict[str, object] = {
                "workspace_id": edit.workspace_id,
                "id": token_id,
                "name": name,
                "role": new.role,
                "group_ids": text_of_list(group_ids),
                "digest": digest_of(secret),
                "last4": secret[-4:],
                "expires_at": expires_at_us,
                "state": "active",
                "created_by": actor_text(actor),
                "created_at": edit.now_us,
            }
            edit.connection.execute(insert(staff_tokens).values(row))
            shown = {key: value for key, value in row.items() if key not in _UNAUDITED}
            edit.audit("token.create", token_id, None, shown)
            edit.touch(token_id)
            return token_id, secret

        def work(edit: Edit) -> tuple[str, str | None]:
            return once(
                edit,
                claim,
                lambda: make(edit),
                told=lambda made: made[0],
                again=lambda token_id: (token_id, _renew(edit, token_id, secret)),
            )

        token_id, shown_secret = await self._changes.make(actor, work)
        return self._shape(self._directory.token(token_id, actor), shown_secret)

    async def get(self, actor: Actor, token_id: str) -> TokenShape:
        """
        A token.

        Raises:
            NotFoundError: No such token that reaches only what the actor sees.
        """
        return self._shape(self._directory.token(token_id, actor))

    async def page(
        self,
        actor: Actor,
        *,
        state: ListedTokens | None = None,
        cursor: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> TokenPage:
        """
        Tokens that reach only what the actor sees, oldest first; revoked ones only where *state* asks for them.

        Raises:
            InvalidFieldError: The cursor.
        """
        after, now_us = mark_of(cursor) or "", self._clock.now_us()
        chosen = []
        for token in self._directory.tokens(actor):
            shown = shown_state(token, now_us)
            is_wanted = state in ("all", shown) or (state is None and shown != "revoked")
            if token.id > after and is_wanted:
                chosen.append(token)
        return TokenPage(
            data=[self._shape(token) for token in chosen[:limit]],
            next_cursor=cursor_after(chosen[limit - 1].id) if len(chosen) > limit else None,
        )

    async def revoke(self, actor: Actor, token_id: str) -> TokenShape:
        """
        Close a token for good, from the next call on.

        Raises:
            NotFoundError: No such token that reaches only what the actor sees.
        """
        self._directory.token(token_id, actor)

        def work(edit: Edit) -> None:
            is_it = _is(edit, token_id)
            before = edit.connection.execute(
                select(staff_tokens.c.state).where(*is_it)
            ).scalar_one()
            if before == "revoked":
                return
            edit.connection.execute(update(staff_tokens).where(*is_it).values(state="revoked"))
            edit.audit("token.revoke", token_id, {"state": before}, {"state": "revoked"})
            edit.touch(token_id)

        await self._changes.make(actor, work)
        return self._shape(self._directory.token(token_id, actor))

    def _read(self, actor: Actor, new: NewToken) -> tuple[str, list[str]]:
        errors: list[InvalidFieldError] = []
        name = ""
        try:
            name = fields.text(new.name)
            if not name:
                errors.append(InvalidFieldError("name", "is empty: say whose it is"))
        except InvalidValueError as error:
            errors.append(InvalidFieldError("name", str(error)))
        group_ids: list[str] = []
        for place, text in enumerate(new.groups):
            try:
                group_ids.append(self._directory.group(text, actor).id)
            except NotFoundError:
                errors.append(InvalidFieldError(f"groups[{place}]", f"there is no group {text!r}"))
        if errors:
            raise InvalidFieldsError(tuple(errors))
        return name, sorted(set(group_ids))

    def _expiry(self, actor: Actor, new: NewToken) -> int | None:
        own = self._own_expiry(actor)
        if new.expires_at is UNSET:
            return own
        try:
            wanted = None if new.expires_at is None else fields.instant(new.expires_at)
        except InvalidValueError as error:
            raise InvalidFieldError("expires_at", str(error)) from None
        if wanted is not None and wanted <= self._clock.now_us():
            raise InvalidFieldError("expires_at", "is in the past")
        if own is not None and (wanted is None or wanted > own):
            raise NotPermittedError(
                f"expires_at: your own token ends at {rfc3339(own)}, and none that it makes ends later."
                " The operator can give a longer one."
            )
        return wanted

    def _own_expiry(self, actor: Actor) -> int | None:
        if actor.kind != "token" or actor.id is None:
            return None
        return self._directory.token(actor.id, actor).expires_at_us

    def _shape(self, token: StaffToken, secret: str | None = None) -> TokenShape:
        assert token.role != "operator", "no token is the operator's"
        return TokenShape(
            id=token.id,
            token=UNSET if secret is None else secret,
            name=token.name,
            role=token.role,
            groups=sorted(token.group_ids),
            last4=token.last4,
            expires_at=None if token.expires_at_us is None else rfc3339(token.expires_at_us),
            state=shown_state(token, self._clock.now_us()),
            created_by=token.created_by,
            created_at=rfc3339(token.created_at_us),
        )


def _renew(edit: Edit, token_id: str, secret: str) -> str | None:
    """Give a token *secret* in place of the one whose answer got lost; None: it was revoked meanwhile."""
    is_it = _is(edit, token_id)
    query = select(staff_tokens.c.state, staff_tokens.c.last4).where(*is_it)
    before = edit.connection.execute(query).one()
    if before.state == "revoked":
        return None
    columns = {"digest": digest_of(secret), "last4": secret[-4:]}
    edit.connection.execute(update(staff_tokens).where(*is_it).values(columns))
    edit.audit("token.renew", token_id, {"last4": before.last4}, {"last4": columns["last4"]})
    edit.touch(token_id)
    return secret


def _is(edit: Edit, token_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return staff_tokens.c.workspace_id == edit.workspace_id, staff_tokens.c.id == token_id


def shown_state(token: StaffToken, now_us: int) -> ShownTokenState:
    """The state of a token at a time: one whose time is over is expired."""
    is_over = token.expires_at_us is not None and token.expires_at_us <= now_us
    return "expired" if is_over and token.state == "active" else token.state
