"""Members: add (one or a roster), find, change, pause, resume, reset, archive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace
from sqlalchemy import ColumnElement, and_, func, or_, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.authority import Authority
from tuckshop.domain.errors import ConflictError
from tuckshop.domain.external_id import folded
from tuckshop.domain.pseudonyms import looks_like_one, pseudonym_of, under_pseudonym
from tuckshop.domain.records import Member, State
from tuckshop.domain.reservation import Scope
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.authority import check_more_money
from tuckshop.services.batches import batches, by_batches
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.erasing.returning import returning
from tuckshop.services.erasing.rows import ERASED, is_nameless
from tuckshop.services.groups import Listed
from tuckshop.services.issuing import NOT_AGAIN
from tuckshop.services.member_authority import MemberAuthority
from tuckshop.services.once import Once, once
from tuckshop.services.paging import PAGE_DEFAULT, cursor_after, mark_of
from tuckshop.services.reissuing import Reissue
from tuckshop.services.roster import (
    PERSONAL,
    PutRow,
    ReadyRow,
    RosterLine,
    audited_member,
    member_columns,
    put_in,
    put_in_again,
    read_roster,
    told_of_rows,
)
from tuckshop.services.search import contains, seen_by
from tuckshop.services.shapes.members import MemberChange, MemberPage, MemberShape
from tuckshop.services.shapes.rosters import Roster
from tuckshop.services.shapes.standing import LimitStanding
from tuckshop.services.standing import limits_of_member, standings_of
from tuckshop.services.versions import Expected
from tuckshop.storage.database import Database
from tuckshop.storage.rows import member_of
from tuckshop.storage.schema import members

ROSTER_MAX_ROWS: Final = 10_000
SHAPES_PER_STEP: Final = 200  # so that a long list never keeps the event loop
_KEYS_APART: Final = (
    "Nobody was added: the group hides who its members are, and a list of names with keys would tell. Import without "
    "keys; then mail links, or hand keys out with a reason."
)
_WHO_APART: Final = (
    "The group hides who its members are: a name or an address is corrected by importing a row of the roster, and an "
    "external id once the group has been unmasked."
)


class Members:
    """What staff do with members."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        ledger: Ledger,
        database: Database,
        authority: Authority,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._ledger = ledger
        self._database = database
        self._authority = MemberAuthority(authority, ledger, database)

    async def add(
        self,
        actor: Actor,
        group: str,
        lines: Sequence[RosterLine],
        *,
        issue_keys: bool,
        reissue: Reissue | None = None,
        claim: Once | None = None,
    ) -> Roster:
        """
        Add members, or change those whose external id is in the group already; archived ones come back.

        Rows that fail are told, the others go in. With *issue_keys* each that has no active key gets one, shown once;
        with *reissue* too, the others get a new secret.

        Raises:
            NotFoundError: No such group.
            ConflictError: The group is archived.
        """
        ready, errors = await asyncio.to_thread(read_roster, lines)
        taken = await self.put(
            actor, group, ready, issue_keys=issue_keys, reissue=reissue, claim=claim
        )
        return replace(taken, errors=sorted(errors, key=lambda error: error.line))

    async def put(
        self,
        actor: Actor,
        group: str,
        ready: Sequence[ReadyRow],
        *,
        issue_keys: bool,
        reissue: Reissue | None = None,
        claim: Once | None = None,
    ) -> Roster:
        """
        The same for rows that have been read. Repeating a call goes on where it broke off.

        In a group that hides names the answer says how many went in, and not who is who.

        Raises:
            NotFoundError: No such group.
            ConflictError: The group is archived; it hides names, and keys were asked for; or a row names somebody by
                the pseudonym of a member, who would become another person.
            NotPermittedError: A row would give more than the actor holds; then none goes in.
        """
        found = self._directory.group(group, actor)
        if found.state == "archived":
            raise ConflictError("The group is archived: resume it first.")
        hides = self._directory.hides_names(found.id)
        if hides and issue_keys:
            raise ConflictError(_KEYS_APART)
        self._check_real(found.id, ready)
        await self._authority.check_all(actor, found, ready)
        ids: dict[str, None] = {}
        secrets: dict[str, str | None] = {}

        def work(edit: Edit, batch: Sequence[ReadyRow]) -> list[PutRow]:
            check = self._authority.check_of(edit, found.id)
            return once(
                edit,
                None if claim is None else claim.part(batch[0].line),
                lambda: put_in(
                    edit, found.id, batch, issue_keys=issue_keys, reissue=reissue, check=check
                ),
                told=lambda rows: told_of_rows(rows, edit.now_us),
                again=lambda told: put_in_again(edit, told),
            )

        async for made in by_batches(self._changes, actor, ready, work):
            for row in made:
                ids[row.member_id] = None
                if row.issued is not None:
                    secrets[row.member_id] = row.issued[1]
        if hides:
            return Roster(data=[], errors=[], count=len(ids))
        shapes = await self._shapes(actor, self._directory.known_members(ids), secrets)
        return Roster(data=shapes, errors=[])

    def _check_real(self, group_id: str, ready: Sequence[ReadyRow]) -> None:
        """That no row is one of a list of members as staff see it where names are hidden."""
        odd = [row for row in ready if looks_like_one(str(row.columns["external_id_folded"]))]
        if not odd:
            return
        taken = {pseudonym_of(id_) for id_ in self._directory.member_ids(group_id)}
        for row in odd:
            if row.columns["external_id_folded"] in taken:
                raise ConflictError(
                    f"Nothing was changed: row {row.line} has a pseudonym for an external id. "
                    "Send the roster itself, or change that member by id."
                )

    async def pause_all(self, actor: Actor, ids: Sequence[str]) -> None:
        """Pause all of these members who are active."""

        def work(edit: Edit, batch: Sequence[str]) -> None:
            for member_id in batch:
                before = _row(edit, member_id)
                if before["state"] == "active":
                    self._write(edit, "member.pause", before, {"state": "paused"})

        async for _ in by_batches(self._changes, actor, ids, work):
            pass

    async def get(self, actor: Actor, member_id: str) -> MemberShape:
        """
        A member, with every limit in force.

        Raises:
            NotFoundError: No such member.
        """
        await self._ledger.flush()
        return (await self._shapes(actor, [self._directory.member(member_id, actor)]))[0]

    async def page(
        self,
        actor: Actor,
        *,
        group: str | None = None,
        external_id: str | None = None,
        email: str | None = None,
        q: str | None = None,
        state: Listed | None = None,
        cursor: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> MemberPage:
        """
        Members, oldest first; archived ones only where *state* asks for them.

        Args:
            q: Text that external id, name or e-mail holds, taken literally.
        Raises:
            NotFoundError: No such group.
            InvalidFieldError: The cursor.
        """
        query = (
            select(members.c.id)
            .where(
                members.c.workspace_id == self._directory.workspace.id,
                members.c.id > (mark_of(cursor) or ""),
                *seen_by(actor, members.c.group_id),
            )
            .order_by(members.c.id)
            .limit(limit + 1)
        )
        if group is not None:
            query = query.where(members.c.group_id == self._directory.group(group, actor).id)
        hidden = self._hidden_ones(actor, external_id=external_id, email=email, q=q)
        hidden = [one for one in hidden if one.id > (mark_of(cursor) or "") and _is_in(one, state)]
        terms = _terms(external_id=external_id, email=email, q=q)
        if terms:
            hiding = self._hiding(actor)
            called = sorted(one.id for one in hidden)[: limit + 1]
            query = query.where(
                or_(and_(members.c.group_id.not_in(hiding), *terms), members.c.id.in_(called))
            )
        if state is None:
            query = query.where(members.c.state != "archived")
        elif state != "all":
            query = query.where(members.c.state == state)

        def read() -> list[str]:
            with self._database.reader() as connection:
                return list(connection.execute(query).scalars())

        await self._ledger.flush()
        ids = await asyncio.to_thread(read)
        return MemberPage(
            data=await self._shapes(actor, self._directory.known_members(ids[:limit])),
            next_cursor=cursor_after(ids[limit - 1]) if len(ids) > limit else None,
        )

    async def change(
        self,
        actor: Actor,
        member_id: str,
        change: MemberChange,
        *,
        expected: Expected | None = None,
    ) -> MemberShape:
        """
        Change any part of a member.

        Raises:
            NotFoundError: No such member.
            InvalidFieldsError: Fields that cannot be taken; then nothing is changed.
            ConflictError: The external id is another member's, or the group hides who its members are.
            StaleVersionError: It is another version than *expected*.
            NotPermittedError: It would give more than the actor holds.
        """
        hides = self._hides(member_id, actor)
        columns = member_columns(change)
        if hides and PERSONAL.intersection(columns):
            raise ConflictError(_WHO_APART)

        def work(edit: Edit) -> None:
            before = _row(edit, member_id)
            _check_version(edit, before, expected, hides=hides)
            if "external_id_folded" in columns:
                _check_free(edit, before, str(columns["external_id_folded"]))
            self._write(edit, "member.change", before, columns)

        await self._changes.make(actor, work)
        return await self.get(actor, member_id)

    async def set_state(
        self,
        actor: Actor,
        member_id: str,
        state: State,
        *,
        expected: Expected | None = None,
    ) -> MemberShape:
        """
        Pause, resume or archive. An archived member who is resumed is active again.

        Raises:
            NotFoundError: No such member.
            ConflictError: An archived member cannot be paused.
            StaleVersionError: It is another version than *expected*.
        """
        hides = self._hides(member_id, actor)
        action = {"active": "resume", "paused": "pause", "archived": "archive"}[state]

        def work(edit: Edit) -> None:
            before = _row(edit, member_id)
            _check_version(edit, before, expected, hides=hides)
            if state == "paused" and before["state"] == "archived":
                raise ConflictError("The member is archived: resume them first.")
            self._write(edit, f"member.{action}", before, {"state": state})

        await self._changes.make(actor, work)
        return await self.get(actor, member_id)

    async def reset(self, actor: Actor, member_id: str, *, with_total: bool) -> MemberShape:
        """
        Start the member's running windows afresh, at what open calls hold.

        Raises:
            NotFoundError: No such member.
            NotPermittedError: It would give more than the actor holds.
        """
        group_id = self._directory.member(member_id, actor).group_id

        def work(edit: Edit) -> None:
            check_more_money(edit, group_id, what="reset")
            self._ledger.reset_in(
                edit.transaction, [Scope("member", member_id)], edit.actor, with_total=with_total
            )
            edit.audit("member.reset", member_id, None, {"with_total": with_total})

        await self._changes.make(actor, work)
        return await self.get(actor, member_id)

    def _hides(self, member_id: str, actor: Actor) -> bool:
        return self._directory.hides_names(self._directory.member(member_id, actor).group_id)

    def _hiding(self, actor: Actor) -> list[str]:
        """The groups that hide who their members are."""
        groups = (one.id for one in self._directory.groups(actor))
        return [id_ for id_ in groups if self._directory.hides_names(id_)]

    def _hidden_ones(
        self, actor: Actor, *, external_id: str | None, email: str | None, q: str | None
    ) -> list[Member]:
        """
        Whom these name where names are hidden: only pseudonyms do.

        A search that found people by what is hidden would tell it.
        """
        if email is not None or (external_id is None and not q):
            return []
        name = None if external_id is None else folded(external_id)
        part = (q or "").casefold()
        return [
            one
            for some in self._directory.members_by_group(self._hiding(actor)).values()
            for one in some
            if name in (None, one.external_id) and part in one.external_id
        ]

    def _write(
        self, edit: Edit, action: str, before: Mapping[str, Any], after: Mapping[str, object]
    ) -> None:
        self._authority.check_of(edit, before["group_id"])(before, after)
        changed = edit.alter(members, action, before, after, audited=audited_member)
        if "limits" in changed:
            self._ledger.forget_kinds(edit.transaction)

    async def _shapes(
        self,
        actor: Actor,
        chosen: Sequence[Member],
        secrets: Mapping[str, str | None] | None = None,
    ) -> list[MemberShape]:
        directory = self._directory
        shapes: list[MemberShape] = []
        for some in batches(chosen, SHAPES_PER_STEP):
            standings = await standings_of(
                self._ledger,
                [
                    limits_of_member(member, directory.group_of(member), directory.workspace)
                    for member in some
                ],
                actor,
            )
            shapes += [
                _shape(member, in_force, secrets or {})
                for member, in_force in zip(some, standings, strict=True)
            ]
        return shapes


def _terms(
    *, external_id: str | None, email: str | None, q: str | None
) -> list[ColumnElement[bool]]:
    """Those that leave whom these name, by what stands in the table."""
    terms: list[ColumnElement[bool]] = []
    if external_id is not None:
        terms.append(members.c.external_id_folded == folded(external_id))
    if email is not None:
        terms.append(func.lower(members.c.email) == email.strip().lower())
    if q:
        terms.append(contains((members.c.external_id, members.c.name, members.c.email), q))
    return terms


def _is_in(member: Member, state: Listed | None) -> bool:
    if state is None:
        return member.state != "archived"
    return state in ("all", member.state)


def _shape(
    member: Member, in_force: list[LimitStanding], secrets: Mapping[str, str | None]
) -> MemberShape:
    """As it is read. *secrets*: of the keys issued just now, by member; None: one is not told again."""
    secret = secrets.get(member.id, UNSET)
    return MemberShape(
        id=member.id,
        group=member.group_id,
        external_id=member.external_id,
        name=member.name,
        email=member.email,
        limits=[str(limit) for limit in member.limits],
        models=None if member.models is None else list(member.models),
        endpoints=None if member.endpoints is None else list(member.endpoints),
        max_output_tokens=member.max_output_tokens,
        state=member.state,
        pseudonymous=member.external_id == pseudonym_of(member.id),
        in_force=in_force,
        key=UNSET if secret is None else secret,
        note=NOT_AGAIN if secret is None else UNSET,
    )


def _check_version(
    edit: Edit, row: Mapping[str, Any], expected: Expected | None, *, hides: bool
) -> None:
    if expected is not None:
        member = under_pseudonym(member_of(row)) if hides else member_of(row)
        expected.check(edit, _shape(member, [], {}), row["id"])


def _row(edit: Edit, member_id: str) -> Mapping[str, Any]:
    query = select(members).where(
        members.c.workspace_id == edit.workspace_id, members.c.id == member_id
    )
    row = dict(edit.connection.execute(query).mappings().one())
    if is_nameless(row["external_id_folded"]):
        raise ConflictError(ERASED)
    return row


def _check_free(edit: Edit, own: Mapping[str, Any], external_id_folded: str) -> None:
    query = select(members.c.id, members.c.state).where(
        members.c.workspace_id == edit.workspace_id,
        members.c.group_id == own["group_id"],
        members.c.external_id_folded == external_id_folded,
    )
    row = edit.connection.execute(query).one_or_none()
    if row is None and returning(edit, own["group_id"], [external_id_folded]):
        raise ConflictError(
            "The external id was that of somebody who was erased: add them as a member, who then meets what they spent."
        )
    if row is not None and row.id != own["id"]:
        which = "an archived member" if row.state == "archived" else "another member"
        raise ConflictError(f"The external id is already that of {which} of the group: {row.id}.")
