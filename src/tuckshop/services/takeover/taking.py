"""
What was read of another gateway's export becomes groups, members and keys here.

What is there already stays as it is, so that doing it again changes nothing, and no import undoes what staff changed
since. A key is told by the digest it came with, also after it was rotated here: its old secret never comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Literal

from sqlalchemy import Connection, or_, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import ConflictError, InvalidFieldsError, NotFoundError, TuckshopError
from tuckshop.domain.external_id import folded
from tuckshop.domain.records import Group, Member
from tuckshop.services.batches import batches, by_batches
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.groups import Groups
from tuckshop.services.issuing import key_columns, put_keys, taken_key
from tuckshop.services.roster import ReadyRow, member_columns, put_in
from tuckshop.services.shapes.groups import NewGroup
from tuckshop.services.shapes.takeover import (
    Taken,
    TakenKey,
    TakenMember,
    Takeover,
    TakeoverError,
    TakeoverReport,
)
from tuckshop.storage.database import Database
from tuckshop.storage.schema import keys

What = Literal["group", "member", "key"]

_DIGESTS_PER_QUERY: Final = 500


class _Tally:
    """Counts of one kind, and what could not be taken."""

    def __init__(self, what: What, errors: list[TakeoverError]) -> None:
        self._what = what
        self._errors = errors
        self.new = 0
        self.unchanged = 0
        self.refused = 0

    def refuse(self, name: str, why: Exception | str) -> None:
        self.refused += 1
        self._errors.append(TakeoverError(what=self._what, name=name, message=str(why)))

    def shown(self) -> Taken:
        return Taken(new=self.new, unchanged=self.unchanged, refused=self.refused)


class Takeovers:
    """Puts in what was taken over."""

    def __init__(
        self, changes: Changes, directory: Directory, groups: Groups, database: Database
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._groups = groups
        self._database = database

    async def take(self, actor: Actor, asked: Takeover, *, dry_run: bool) -> TakeoverReport:
        """Put in what is new; in a dry run, only say what that is. One that cannot be taken stops no other."""
        errors: list[TakeoverError] = []
        groups, members, taken = (
            _Tally("group", errors),
            _Tally("member", errors),
            _Tally("key", errors),
        )
        coming = await self._take_groups(actor, asked.groups, groups, dry_run)
        people = await self._take_members(actor, asked.members, members, coming, dry_run)
        await self._take_keys(actor, asked, taken, coming, people, dry_run)
        return TakeoverReport(
            dry_run=dry_run,
            groups=groups.shown(),
            members=members.shown(),
            keys=taken.shown(),
            errors=errors,
        )

    async def _take_groups(
        self, actor: Actor, asked: Sequence[NewGroup], tally: _Tally, dry_run: bool
    ) -> set[str]:
        """The names of the groups that a dry run would make."""
        coming: set[str] = set()
        for new in asked:
            if self._group(actor, new.name) is not None:
                tally.unchanged += 1
                continue
            try:
                if dry_run:
                    self._groups.columns_of(new, "UTC")
                    coming.add(new.name)
                else:
                    await self._groups.create(actor, new)
            except (InvalidFieldsError, ConflictError) as error:
                tally.refuse(new.name, error)
            else:
                tally.new += 1
        return coming

    async def _take_members(
        self,
        actor: Actor,
        asked: Sequence[TakenMember],
        tally: _Tally,
        coming: set[str],
        dry_run: bool,
    ) -> set[tuple[str, str]]:
        """Who a dry run would add, by their group's name and folded id."""
        ready: dict[str, list[ReadyRow]] = {}
        people: set[tuple[str, str]] = set()
        known = self._by_person(actor).keys()
        for line, new in enumerate(asked, 1):
            name = f"{new.group}/{new.external_id}"
            try:
                columns = member_columns(new)
            except InvalidFieldsError as error:
                tally.refuse(name, error)
                continue
            group, id_ = self._group(actor, new.group), str(columns["external_id_folded"])
            if group is None and new.group not in coming:
                tally.refuse(name, f"there is no group {new.group!r}")
            elif group is not None and group.state == "archived":
                tally.refuse(name, "the group is archived")
            elif (new.group, id_) in people or (group and (group.id, id_) in known):
                tally.unchanged += 1
            else:
                tally.new += 1
                people.add((new.group, id_))
                if group is not None:
                    row = ReadyRow(line, {**columns, "state": new.state})
                    ready.setdefault(group.id, []).append(row)
        for group_id, rows in ({} if dry_run else ready).items():
            async for _ in by_batches(self._changes, actor, rows, _putting(group_id)):
                pass
        return people

    async def _take_keys(
        self,
        actor: Actor,
        asked: Takeover,
        tally: _Tally,
        coming: set[str],
        people: set[tuple[str, str]],
        dry_run: bool,
    ) -> None:
        members = self._by_person(actor)
        there = await asyncio.to_thread(self._known, [key.digest for key in asked.keys])
        ready: list[tuple[TakenKey, Member]] = []
        for new in asked.keys:
            name = new.name or new.digest[:12]
            group, id_ = self._group(actor, new.group), folded(new.external_id)
            member = None if group is None else members.get((group.id, id_))
            if bytes.fromhex(new.digest) in there:
                tally.unchanged += 1
            elif (why := _refusal(new, group, member, (new.group, id_) in people)) is not None:
                tally.refuse(str(name), why)
            else:
                there.add(bytes.fromhex(new.digest))  # twice in the file is once here
                tally.new += 1
                if member is not None:
                    ready.append((new, member))

        def work(edit: Edit, batch: Sequence[tuple[TakenKey, Member]]) -> None:
            known = _known(edit.connection, edit.workspace_id, [new.digest for new, _ in batch])
            put_keys(
                edit,
                [
                    taken_key(edit, member=member, new=new, gateway=asked.gateway)
                    for new, member in batch
                    if bytes.fromhex(new.digest) not in known
                ],
            )

        async for _ in by_batches(self._changes, actor, [] if dry_run else ready, work):
            pass

    def _by_person(self, actor: Actor) -> dict[tuple[str, str], Member]:
        """The members, by group and by what another gateway calls them; no answer tells who they are."""
        person = self._directory.person
        return {
            (one.group_id, folded(person(one.id).external_id)): one
            for one in self._directory.members(actor)
        }

    def _known(self, digests: Sequence[str]) -> set[bytes]:
        with self._database.reader() as connection:
            return {
                digest
                for some in batches(digests, _DIGESTS_PER_QUERY)
                for digest in _known(connection, self._directory.workspace.id, some)
            }

    def _group(self, actor: Actor, name: str) -> Group | None:
        try:
            return self._directory.group(name, actor)
        except NotFoundError:
            return None


def _refusal(
    new: TakenKey, group: Group | None, member: Member | None, is_coming: bool
) -> TuckshopError | str | None:
    """Why a key cannot be taken; None: it can."""
    if member is None and not is_coming:
        return f"there is no member {new.group}/{new.external_id}"
    if member is not None and member.state == "archived":
        return "its member is archived: resume them first"
    if group is not None and group.state == "archived":
        return "its group is archived: resume it first"
    try:
        key_columns(new)
    except InvalidFieldsError as error:
        return error
    return None


def _putting(group_id: str) -> Callable[[Edit, Sequence[ReadyRow]], None]:
    def work(edit: Edit, batch: Sequence[ReadyRow]) -> None:
        # Only the operator takes over, who may give everything (K6).
        put_in(edit, group_id, batch, issue_keys=False, check=lambda before, after: None)

    return work


def _known(connection: Connection, workspace_id: str, digests: Sequence[str]) -> set[bytes]:
    """Those of *digests* that a key here opens by, or came with."""
    wanted = [bytes.fromhex(digest) for digest in digests]
    query = select(keys.c.digest, keys.c.previous_digest, keys.c.taken_digest).where(
        keys.c.workspace_id == workspace_id,
        or_(
            keys.c.digest.in_(wanted),
            keys.c.previous_digest.in_(wanted),
            keys.c.taken_digest.in_(wanted),
        ),
    )
    found = {bytes(one) for row in connection.execute(query) for one in row if one is not None}
    return found.intersection(wanted)
