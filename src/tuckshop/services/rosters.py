"""Roster files: what one would do, and doing it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import ConflictError, InvalidFieldError
from tuckshop.services.directory import Directory
from tuckshop.services.members import ROSTER_MAX_ROWS, Members
from tuckshop.services.once import Once, was_begun
from tuckshop.services.reissuing import Reissue
from tuckshop.services.roster import ReadyRow, read_roster
from tuckshop.services.roster_csv.errors import RosterFileError
from tuckshop.services.roster_csv.reader import CsvRoster, read_csv
from tuckshop.services.roster_preview import Outlook, look_ahead
from tuckshop.services.shapes.members import NewMember
from tuckshop.services.shapes.rosters import Roster, RosterPreview, RowError
from tuckshop.storage.database import Database

_HOW_TO_ANSWER: Final = (
    "If they are people who are new to the group, say so with as_new=true (--as-new)."
)


class Rosters:
    """What staff do with the files that their learning platform gives them."""

    def __init__(self, members: Members, directory: Directory, database: Database) -> None:
        self._members = members
        self._directory = directory
        self._database = database

    async def preview(
        self, actor: Actor, group: str, raw: bytes, *, id_column: str | None
    ) -> RosterPreview:
        """
        What importing the file *raw* would do, line by line. Nothing is changed.

        Raises:
            NotFoundError: No such group.
            InvalidFieldError: The file as a whole cannot be read.
        """
        group_id = self._directory.group(group, actor).id
        roster, ready, errors = await _read(raw, id_column)
        outlook = await self._look_ahead(group_id, ready)
        return RosterPreview(
            rows=outlook.rows,
            errors=errors,
            missing=[] if self._directory.hides_names(group_id) else outlook.missing,
            missing_count=len(outlook.missing),
            questions=outlook.questions,
            columns=roster.columns.read,
            ignored=list(roster.columns.ignored),
            encoding=roster.encoding,
            delimiter=roster.delimiter,
        )

    async def take(
        self,
        actor: Actor,
        group: str,
        raw: bytes,
        *,
        id_column: str | None,
        issue_keys: bool,
        reissue: Reissue | None,
        as_new: bool,
        pause_missing: bool,
        claim: Once | None = None,
    ) -> Roster:
        """
        Import the file *raw*: rows that fail are told, the others go in. Doing it twice changes nothing.

        Args:
            issue_keys: A key for each member of the file without an active one, shown once.
            reissue: And a new secret for each of the others.
            as_new: That people look new although they may be respelled is all right.
            pause_missing: Pause who is active in the group and not in the file; without it they are only told.
        Raises:
            NotFoundError: No such group.
            ConflictError: The group is archived, or something has to be asked before.
            InvalidFieldError: The file as a whole cannot be read.
        """
        group_id = self._directory.group(group, actor).id
        _, ready, errors = await _read(raw, id_column)
        outlook = await self._look_ahead(group_id, ready)
        # Who sends a file again after half of it went in was not asked the first time.
        if outlook.questions and not as_new and not await self._was_begun(actor, ready, claim):
            raise ConflictError(
                f"Nothing was imported: {'; and '.join(outlook.questions)}. {_HOW_TO_ANSWER}"
            )
        if pause_missing and errors:
            raise ConflictError(
                f"Nothing was imported: who is missing cannot be told while line {errors[0].line} "
                f"cannot be read ({errors[0].field or 'the row'} {errors[0].message})."
            )
        taken = await self._members.put(
            actor, group_id, ready, issue_keys=issue_keys, reissue=reissue, claim=claim
        )
        if pause_missing:
            active = [one.id for one in outlook.missing if one.state == "active"]
            await self._members.pause_all(actor, active)
        missing = [
            replace(one, state=self._directory.member(one.id, actor).state)
            for one in outlook.missing
        ]
        taken = replace(
            taken, errors=errors, counts=dict(Counter(row.action for row in outlook.rows))
        )
        if self._directory.hides_names(group_id):
            return replace(taken, changed=[], missing=[], missing_count=len(missing))
        changed = [row for row in outlook.rows if row.action in ("changed", "revived")]
        return replace(taken, changed=changed, missing=missing)

    async def _was_begun(self, actor: Actor, ready: Sequence[ReadyRow], claim: Once | None) -> bool:
        if claim is None or not ready:
            return False
        workspace_id, first = self._directory.workspace.id, claim.part(ready[0].line)

        def look() -> bool:
            with self._database.reader() as connection:
                return was_begun(connection, workspace_id, actor, first)

        return await asyncio.to_thread(look)

    async def _look_ahead(self, group_id: str, ready: Sequence[ReadyRow]) -> Outlook:
        workspace_id = self._directory.workspace.id
        hides = self._directory.hides_names(group_id)

        def look() -> Outlook:
            with self._database.reader() as connection:
                return look_ahead(connection, workspace_id, group_id, ready, tells_ids=not hides)

        return await asyncio.to_thread(look)


async def _read(
    raw: bytes, id_column: str | None
) -> tuple[CsvRoster, list[ReadyRow], list[RowError]]:
    def read() -> tuple[CsvRoster, list[ReadyRow], list[RowError]]:
        roster = read_csv(raw, id_column=id_column)
        ready, errors = read_roster(roster.lines)
        people = {one.line: one.row for one in roster.lines if isinstance(one.row, NewMember)}
        named = [_with_name(error, people.get(error.line)) for error in errors]
        return roster, ready, sorted(named, key=lambda error: error.line)

    try:
        roster, ready, errors = await asyncio.to_thread(read)
    except RosterFileError as error:
        raise InvalidFieldError("file", str(error)) from None
    if len(ready) > ROSTER_MAX_ROWS:
        raise InvalidFieldError("file", f"has more than {ROSTER_MAX_ROWS} people: send it in parts")
    return roster, ready, errors


def _with_name(error: RowError, person: NewMember | None) -> RowError:
    """*error* with whom the row is about, so that they are found where the file came from."""
    if person is None:
        return error
    name = "" if person.name is UNSET or not person.name else f", {person.name}"
    return replace(error, message=f"{error.message} (the row of {person.external_id}{name})")
