"""
Claim links: how a member picks up a key without anybody else having seen it.

A member has at most one link that opens: a new one voids those before, and so does the end of the key that an earlier
one handed out. Opening hands out *the claimed key* of the member: the first link issues it, every later one gives it a
new secret, so that whoever opened an earlier link, or never saw its answer, is left with nothing. Whatever keys a
member has besides go on. Looking a link up reads; only one that opens writes, once, in one transaction with its audit
rows (K15, K16).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.claim_links import LIFE_DAYS, claim_url, is_claim_secret, new_claim_secret
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import ConflictError, GoneError, NotFoundError
from tuckshop.domain.keys import digest_of
from tuckshop.domain.policy import policy_of
from tuckshop.domain.records import Group
from tuckshop.pricing.price_book import PriceBook
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.issuing import issue
from tuckshop.services.key_life import rotate
from tuckshop.services.limit_words import sentences
from tuckshop.services.shapes.claims import ClaimedKey
from tuckshop.services.shapes.keys import NewKey
from tuckshop.services.snippets import first_model, snippets
from tuckshop.storage.database import Database
from tuckshop.storage.schema import claims, groups, keys, members

CLAIMED: Final = "claimed"  # the name of a key that a link handed out
_LIFE_US: Final = LIFE_DAYS * 86_400 * US_PER_SECOND

# Called inside the change that opens a link, with the member: what it writes is written with it or not at all.
OpenedListener = Callable[[Edit, str], None]


@dataclass(frozen=True, slots=True)
class ClaimLink:
    """A link, to be sent to one person. Nobody can read it again."""

    url: str = field(repr=False)
    expires_at_us: int


@dataclass(frozen=True, slots=True)
class _Opened:
    key_id: str
    secret: str = field(repr=False)
    at_us: int


class Claims:
    """Makes links, and opens them."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        database: Database,
        clock: Clock,
        *,
        prices: PriceBook,
        public_url: str | None,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._database = database
        self._clock = clock
        self._prices = prices
        self._public_url = public_url
        self._privacy_of: Callable[[Group], list[str]] = lambda group: []
        self._listeners: list[OpenedListener] = []

    def tell_privacy(self, privacy_of: Callable[[Group], list[str]]) -> None:
        """Tell whoever opens a link what *privacy_of* says of their group (Art. 13 GDPR)."""
        self._privacy_of = privacy_of

    def on_opened(self, listener: OpenedListener) -> None:
        """Call *listener* within every change that opens a link."""
        self._listeners.append(listener)

    async def new_link(self, actor: Actor, member_id: str) -> ClaimLink:
        """
        A link for a member; those made before are void.

        Raises:
            NotFoundError: No such member.
            ConflictError: The member or its group is archived, or no address is set to build links from.
        """
        member = self._directory.member(member_id, actor)
        if "archived" in (member.state, self._directory.group_of(member).state):
            raise ConflictError("The member or its group is archived: resume it first.")
        self.check_links_can_be_made()

        def work(edit: Edit) -> ClaimLink:
            return self.links_in(edit, [member_id])[member_id]

        return await self._changes.make(actor, work)

    def check_links_can_be_made(self) -> str:
        """
        The address that links are built from.

        Raises:
            ConflictError: None is set.
        """
        if self._public_url is None:
            raise ConflictError(
                "Links are built from TUCKSHOP_PUBLIC_URL, which is not set: set it to how people reach this server "
                "(https://tuckshop.example.org) and start it again."
            )
        return self._public_url

    def links_in(self, edit: Edit, member_ids: Sequence[str]) -> dict[str, ClaimLink]:
        """A link for each of these members, inside a change."""
        public_url = self.check_links_can_be_made()
        open_ones = (
            (claims.c.workspace_id == edit.workspace_id)
            & claims.c.member_id.in_(member_ids)
            & (claims.c.state == "open")
        )
        voided: dict[str, list[str]] = {}
        older = select(claims.c.member_id, claims.c.id).where(open_ones)
        for member_id, link_id in edit.connection.execute(older):
            voided.setdefault(member_id, []).append(link_id)
        if voided:
            edit.connection.execute(update(claims).where(open_ones).values(state="void"))
        links: dict[str, ClaimLink] = {}
        rows: list[dict[str, Any]] = []
        for member_id in dict.fromkeys(member_ids):
            secret = new_claim_secret()
            row: dict[str, Any] = {
                "workspace_id": edit.workspace_id,
                "id": edit.new_id("clm"),
                "member_id": member_id,
                "digest": digest_of(secret),
                "state": "open",
                "expires_at": edit.now_us + _LIFE_US,
                "created_at": edit.now_us,
            }
            rows.append(row)
            links[member_id] = ClaimLink(claim_url(public_url, secret), edit.now_us + _LIFE_US)
        if rows:
            edit.connection.execute(insert(claims), rows)
        for row in rows:
            member_id = row["member_id"]
            edit.audit(
                "claim.create",
                row["id"],
                None,
                {
                    "member": member_id,
                    "expires_at": row["expires_at"],
                    "voided": voided.get(member_id, []),
                },
            )
        return links

    async def open(self, secret: str) -> ClaimedKey:
        """
        Open a link: the member's claimed key, shown once.

        Raises:
            NotFoundError: No such link.
            GoneError: It was opened, replaced by a newer one, or is too old.
            ConflictError: The member, the group or the claimed key cannot call now; the link stays good.
        """
        if not is_claim_secret(secret):
            raise NotFoundError(_UNKNOWN)
        base_url = f"{self.check_links_can_be_made().rstrip('/')}/v1"
        digest = digest_of(secret)
        member_id = await asyncio.to_thread(self._member_of, digest)

        def work(edit: Edit) -> _Opened:
            return self._open_in(edit, digest)

        opened = await self._changes.make(Actor(kind="member", id=member_id), work)
        holder = self._directory.holder(opened.key_id)
        policy = policy_of(holder)
        models = policy.allowed_models()
        expires_at_us = holder.key.expires_at_us
        prices = self._prices.now
        priced = (*prices.rows(), *prices.overrides.values())
        return ClaimedKey(
            key=opened.secret,
            name=self._directory.greeted(holder.member.id),
            course=holder.group.title or holder.group.name,
            base_url=base_url,
            models=None if models == ("*",) else list(models),
            limits=sentences(policy.limits, opened.at_us),
            expires_at=None if expires_at_us is None else rfc3339(expires_at_us),
            snippets=snippets(base_url, opened.secret, first_model(priced, policy)),
            privacy=self._privacy_of(holder.group),
            notice=holder.workspace.privacy.notice_url or None,
        )

    def _member_of(self, digest: bytes) -> str:
        """Whose link it is; refused here, what opens nothing costs no write (K15)."""
        with self._database.reader() as connection:
            link = _found(connection, self._directory.workspace.id, digest)
        _check(link, self._clock.now_us())
        return str(link["member_id"])

    def _open_in(self, edit: Edit, digest: bytes) -> _Opened:
        link = _found(edit.connection, edit.workspace_id, digest)
        _check(link, edit.now_us)
        member_id = link["member_id"]
        before = _claimed_key(edit.connection, edit.workspace_id, member_id)
        if before is None or _is_over(before, edit.now_us):
            new = NewKey(name=CLAIMED)
            key_id, secret = issue(edit, group_id=link["group_id"], member_id=member_id, new=new)
        elif before["state"] == "paused":
            raise ConflictError(
                f"Your key is paused at the moment, so it is not handed out. {_ASK}"
            )
        else:
            key_id, secret = before["id"], rotate(edit, before)
        edit.connection.execute(
            update(claims)
            .where(claims.c.workspace_id == edit.workspace_id, claims.c.id == link["id"])
            .values(state="used", used_at=edit.now_us, key_id=key_id)
        )
        edit.audit("claim.open", link["id"], None, {"member": member_id, "key": key_id})
        for listener in self._listeners:
            listener(edit, member_id)
        return _Opened(key_id, secret, edit.now_us)


_ASK: Final = "Ask the people who sent you the link; it stays good until it is too old."
_FOR_A_NEW_ONE: Final = "ask the people who sent it for a new one"
_UNKNOWN: Final = (
    "There is no such link. Was all of it copied, to the last character? "
    f"If it was, {_FOR_A_NEW_ONE}."
)
_TOO_OLD: Final = f"This link is more than {LIFE_DAYS} days old: {_FOR_A_NEW_ONE}."
_OVER: Final[Mapping[str, str]] = {
    "used": "This link was opened already, and a key is shown only once. If you have not got it, "
    f"or it was not you, {_FOR_A_NEW_ONE}: opening that makes the earlier key worthless.",
    "void": "There is a newer link than this one, or the key from an earlier one was closed since."
    f" If you have no newer link, {_FOR_A_NEW_ONE}.",
}


def _found(connection: Connection, workspace_id: str, digest: bytes) -> Mapping[str, Any]:
    query = (
        select(
            claims,
            members.c.state.label("member_state"),
            members.c.group_id,
            groups.c.state.label("group_state"),
        )
        .join(
            members,
            (members.c.workspace_id == claims.c.workspace_id)
            & (members.c.id == claims.c.member_id),
        )
        .join(
            groups,
            (groups.c.workspace_id == members.c.workspace_id) & (groups.c.id == members.c.group_id),
        )
        .where(claims.c.workspace_id == workspace_id, claims.c.digest == digest)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError(_UNKNOWN)
    return dict(row)


def _check(link: Mapping[str, Any], now_us: int) -> None:
    """
    That *link* opens now.

    Raises:
        GoneError: It never will again.
        ConflictError: It may, later.
    """
    if link["state"] != "open":
        raise GoneError(_OVER[link["state"]])
    if link["expires_at"] <= now_us:
        raise GoneError(_TOO_OLD)
    for what, state in (
        ("course", link["group_state"]),
        ("place in the course", link["member_state"]),
    ):
        if state != "active":
            raise ConflictError(f"Your {what} is {state} at the moment, so there is no key. {_ASK}")


def _claimed_key(
    connection: Connection, workspace_id: str, member_id: str
) -> Mapping[str, Any] | None:
    """The key that the member's last opened link handed out."""
    query = (
        select(keys)
        .join(
            claims, (claims.c.workspace_id == keys.c.workspace_id) & (claims.c.key_id == keys.c.id)
        )
        .where(claims.c.workspace_id == workspace_id, claims.c.member_id == member_id)
        .order_by(claims.c.used_at.desc(), claims.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _is_over(key: Mapping[str, Any], now_us: int) -> bool:
    """Whether a key will never open again."""
    is_expired = key["expires_at"] is not None and key["expires_at"] <= now_us
    return key["state"] in ("revoked", "archived") or is_expired
