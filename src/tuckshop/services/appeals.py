"""
Appeals: what members say to what was flagged of theirs, by a link of their own or written down by staff.

A link shows its member what was flagged (when, why, what became of the call; no content, and nothing of others), and
takes their words, once. A member has at most one that opens. The words are about a person: they are closed with the
member's key, and go when it goes (P4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.claim_links import LIFE_DAYS, appeal_url, is_claim_secret, new_claim_secret
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import ConflictError, GoneError, InvalidFieldError, NotFoundError
from tuckshop.domain.ids import new_id
from tuckshop.domain.keys import digest_of
from tuckshop.domain.notices import Notice
from tuckshop.services import fields
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.claims import ClaimLink
from tuckshop.services.directory import Directory
from tuckshop.services.fields import InvalidValueError, rfc3339
from tuckshop.services.flags import Flags, appeal_place
from tuckshop.services.shapes.flags import (
    Appeal,
    AppealTaken,
    FlagDetail,
    LinkedAppeal,
    OwnFlag,
    OwnFlags,
)
from tuckshop.storage.audit import actor_text
from tuckshop.storage.database import Database
from tuckshop.storage.notices import post
from tuckshop.storage.person_keys import PersonKeyGoneError, PersonKeys
from tuckshop.storage.rows import list_of_text
from tuckshop.storage.schema import appeals, flags, members

FLAGS_SHOWN: Final = 100
_LIFE_US: Final = LIFE_DAYS * 86_400 * US_PER_SECOND
_FOR_A_NEW_ONE: Final = "ask the people who sent it for a new one"
_UNKNOWN: Final = (
    "There is no such link. Was all of it copied, to the last character? "
    f"If it was, {_FOR_A_NEW_ONE}."
)
_TOO_OLD: Final = f"This link is more than {LIFE_DAYS} days old: {_FOR_A_NEW_ONE}."
_OVER: Final[Mapping[str, str]] = {
    "used": f"What you said by this link has arrived. To say more, {_FOR_A_NEW_ONE}.",
    "void": "A newer link was made in place of this one: use that.",
}


class Appeals:
    """Makes links for appeals, shows what they are about, and takes them."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        flags: Flags,
        database: Database,
        clock: Clock,
        person_keys: PersonKeys,
        *,
        public_url: Callable[[], str],
    ) -> None:
        """*public_url* gives what links are built from, or raises what says how to set it."""
        self._changes = changes
        self._directory = directory
        self._flags = flags
        self._database = database
        self._clock = clock
        self._person_keys = person_keys
        self._public_url = public_url

    async def new_link(self, actor: Actor, member_id: str) -> ClaimLink:
        """
        A link for a member; those made before are void.

        Raises:
            NotFoundError: No such member.
            ConflictError: Nothing of theirs was flagged, or no address is set to build links from.
        """
        self._directory.member(member_id, actor)
        public_url = self._public_url()
        return await self._changes.make(
            actor, lambda edit: self._link_in(edit, member_id, public_url)
        )

    async def add(self, actor: Actor, flag_id: str, appeal: Appeal) -> FlagDetail:
        """
        Write down what a member says to a flag.

        Raises:
            NotFoundError: No such flag that the actor sees.
            InvalidFieldError: What is said.
            GoneError: The member was erased.
        """
        flag = await self._flags.get(actor, flag_id)
        said = _said(appeal.reason)
        row: dict[str, Any] = {
            "workspace_id": self._directory.workspace.id,
            "id": new_id("apl", self._clock.now_us()),
            "group_id": flag.group,
            "member_id": flag.member,
            "flag_id": flag_id,
        }
        sealed = await asyncio.to_thread(self._sealed, row, said)

        def work(edit: Edit) -> None:
            sent = {**row, "created_at": edit.now_us, **_sent(edit, sealed)}
            edit.connection.execute(insert(appeals).values(sent))
            _tell(edit, row, flags.c.id == flag_id)

        await self._changes.make(actor, work)
        return await self._flags.get(actor, flag_id)

    async def look(self, secret: str) -> OwnFlags:
        """
        What a link is about.

        Raises:
            NotFoundError: No such link.
            GoneError: It was used, replaced by a newer one, is too old, or its member is gone.
        """
        digest = _digest_of(secret)

        def read() -> tuple[Mapping[str, Any], list[OwnFlag]]:
            with self._database.reader() as connection:
                link = self._found(connection, digest)
                _check(link, self._clock.now_us())
                return link, self._own(connection, link["member_id"])

        link, own = await asyncio.to_thread(read)
        group = self._directory.group(link["group_id"], _as(link))
        return OwnFlags(
            course=group.title or group.name,
            name=self._directory.greeted(link["member_id"]),
            paused=link["member_state"] == "paused",
            expires_at=rfc3339(link["expires_at"]),
            data=own,
        )

    async def send(self, appeal: LinkedAppeal) -> AppealTaken:
        """
        Take what the holder of a link says. The link is used by it.

        Raises:
            NotFoundError, GoneError: As `look`.
            InvalidFieldError: What is said.
        """
        digest = _digest_of(appeal.secret)
        said = _said(appeal.reason)

        def read() -> tuple[Mapping[str, Any], bytes]:
            with self._database.reader() as connection:
                link = self._found(connection, digest)
            _check(link, self._clock.now_us())  # what opens nothing costs no write (K15)
            return link, self._sealed(link, said)

        link, sealed = await asyncio.to_thread(read)

        def work(edit: Edit) -> int:
            now = self._found(edit.connection, digest)
            _check(now, edit.now_us)
            edit.connection.execute(
                update(appeals)
                .where(appeals.c.workspace_id == edit.workspace_id, appeals.c.id == now["id"])
                .values(_sent(edit, sealed))
            )
            _tell(edit, now, flags.c.member_id == now["member_id"])
            return edit.now_us

        return AppealTaken(at=rfc3339(await self._changes.make(_as(link), work)))

    def _link_in(self, edit: Edit, member_id: str, public_url: str) -> ClaimLink:
        mine = (
            select(func.count())
            .select_from(flags)
            .where(flags.c.workspace_id == edit.workspace_id, flags.c.member_id == member_id)
        )
        if not edit.connection.execute(mine).scalar_one():
            raise ConflictError("Nothing of this member was flagged: there is nothing to appeal.")
        open_ones = (
            (appeals.c.workspace_id == edit.workspace_id)
            & (appeals.c.member_id == member_id)
            & (appeals.c.state == "open")
        )
        edit.connection.execute(update(appeals).where(open_ones).values(state="void"))
        secret = new_claim_secret()
        row: dict[str, Any] = {
            "workspace_id": edit.workspace_id,
            "id": edit.new_id("apl"),
            "group_id": _group_of(edit, member_id),
            "member_id": member_id,
            "digest": digest_of(secret),
            "state": "open",
            "expires_at": edit.now_us + _LIFE_US,
            "created_at": edit.now_us,
        }
        edit.connection.execute(insert(appeals).values(row))
        told = {"appeal": row["id"], "expires_at": row["expires_at"]}
        edit.audit("appeal.link", member_id, None, told)
        return ClaimLink(appeal_url(public_url, secret), row["expires_at"])

    def _sealed(self, row: Mapping[str, Any], said: str) -> bytes:
        """What is said, as it is kept. For worker threads."""
        try:
            return self._person_keys.seal(
                row["member_id"], said.encode(), place=appeal_place(row["id"])
            )
        except PersonKeyGoneError:
            raise GoneError("What is kept of this member was erased, their flags too.") from None

    def _found(self, connection: Connection, digest: bytes) -> Mapping[str, Any]:
        query = (
            select(appeals, members.c.state.label("member_state"))
            .join(
                members,
                (members.c.workspace_id == appeals.c.workspace_id)
                & (members.c.id == appeals.c.member_id),
            )
            .where(
                appeals.c.workspace_id == self._directory.workspace.id, appeals.c.digest == digest
            )
        )
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFoundError(_UNKNOWN)
        return dict(row)

    def _own(self, connection: Connection, member_id: str) -> list[OwnFlag]:
        query = (
            select(flags)
            .where(
                flags.c.workspace_id == self._directory.workspace.id,
                flags.c.member_id == member_id,
            )
            .order_by(flags.c.last_at.desc(), flags.c.id.desc())
            .limit(FLAGS_SHOWN)
        )
        return [
            OwnFlag(
                at=rfc3339(row["at"]),
                last_at=rfc3339(row["last_at"]),
                repeats=row["repeats"],
                source=row["source"],
                action=row["action"],
                reasons=list(list_of_text(row["reasons"])),
                state=row["state"],
            )
            for row in connection.execute(query).mappings()
        ]


def _sent(edit: Edit, sealed: bytes) -> dict[str, Any]:
    """The columns of an appeal that has been said."""
    by = actor_text(edit.actor)
    return {"state": "used", "sent_at": edit.now_us, "sent_by": by, "reason": sealed}


def _tell(edit: Edit, row: Mapping[str, Any], which: ColumnElement[bool]) -> None:
    """Note it at the flags that it is about, in the audit trail, and for those who are to look."""
    about = (flags.c.workspace_id == edit.workspace_id) & which & (flags.c.state != "dismissed")
    edit.connection.execute(update(flags).where(about).values(appealed_at=edit.now_us))
    told = {"appeal": row["id"], "flag": row["flag_id"]}
    edit.audit("appeal.send", row["member_id"], None, told)
    post(
        edit.transaction,
        Notice(
            kind="appeal",
            workspace_id=edit.workspace_id,
            group_id=row["group_id"],
            member_id=row["member_id"],
            facts={"appeal": row["id"]},
            once=f"appeal:{row['id']}",
        ),
    )


def _as(link: Mapping[str, Any]) -> Actor:
    return Actor(kind="member", id=link["member_id"], groups=frozenset({link["group_id"]}))


def _digest_of(secret: str) -> bytes:
    if not is_claim_secret(secret):
        raise NotFoundError(_UNKNOWN)
    return digest_of(secret)


def _said(text: str) -> str:
    try:
        said = fields.paragraphs(text)
    except InvalidValueError as error:
        raise InvalidFieldError("reason", str(error)) from None
    if not said:
        raise InvalidFieldError("reason", "is empty")
    return said


def _check(link: Mapping[str, Any], now_us: int) -> None:
    """
    That *link* opens.

    Raises:
        GoneError: It never will again.
    """
    if link["state"] != "open":
        raise GoneError(_OVER[link["state"]])
    if link["expires_at"] <= now_us:
        raise GoneError(_TOO_OLD)


def _group_of(edit: Edit, member_id: str) -> str:
    query = select(members.c.group_id).where(
        members.c.workspace_id == edit.workspace_id, members.c.id == member_id
    )
    return str(edit.connection.execute(query).scalar_one())
