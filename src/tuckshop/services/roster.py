"""A roster on its way into the table of members: rows read one by one, put in by batches, each with its audit row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import insert, select

from tuckshop.domain.errors import InvalidFieldsError
from tuckshop.domain.external_id import folded
from tuckshop.services import fields
from tuckshop.services.changes import Edit
from tuckshop.services.erasing.returning import returning
from tuckshop.services.erasing.rows import is_nameless
from tuckshop.services.fields import Columns
from tuckshop.services.issuing import KeyTold, issue_again, told_of
from tuckshop.services.reissuing import Reissue, hand_out
from tuckshop.services.shapes.members import MemberChange, NewMember
from tuckshop.services.shapes.rosters import RowError
from tuckshop.storage.schema import members

# Looks at a member's row as it is (or would be with nothing set) and what it is to say, before that is written.
RowCheck = Callable[[Mapping[str, Any], Mapping[str, object]], None]

# What a member may use, where nothing but the group says it.
NOTHING_SET: Final[Mapping[str, object]] = {
    "limits": "[]",
    "models": None,
    "endpoints": None,
    "max_output_tokens": None,
}

# Fields that tell who a person is: the audit trail says that they changed, not to what (P8).
PERSONAL: Final = frozenset({"external_id", "external_id_folded", "name", "email"})


@dataclass(frozen=True, slots=True)
class RosterLine:
    """One row sent, or why it could not be read."""

    line: int
    row: NewMember | RowError


@dataclass(frozen=True, slots=True)
class ReadyRow:
    line: int
    columns: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PutRow:
    """Whom a row became, and the key that they were issued: its id and its secret."""

    member_id: str
    issued: tuple[str, str | None] | None = field(default=None, repr=False)


def read_roster(lines: Sequence[RosterLine]) -> tuple[list[ReadyRow], list[RowError]]:
    ready: list[ReadyRow] = []
    errors: list[RowError] = []
    for line in lines:
        if isinstance(line.row, RowError):
            errors.append(line.row)
            continue
        try:
            ready.append(ReadyRow(line.line, member_columns(line.row)))
        except InvalidFieldsError as error:
            errors += [
                RowError(line=line.line, field=one.field, message=one.message)
                for one in error.errors
            ]
    return ready, errors


def put_in(
    edit: Edit,
    group_id: str,
    batch: Sequence[ReadyRow],
    *,
    issue_keys: bool,
    check: RowCheck,
    reissue: Reissue | None = None,
) -> list[PutRow]:
    """
    Insert or update *batch*; per row who it is, and the key issued to them.

    Raises:
        Whatever *check* raises.
    """
    wanted = {str(ready.columns["external_id_folded"]) for ready in batch}
    query = select(members).where(
        members.c.workspace_id == edit.workspace_id,
        members.c.group_id == group_id,
        members.c.external_id_folded.in_(wanted),
    )
    known: dict[str, Mapping[str, Any]] = {
        row["external_id_folded"]: dict(row) for row in edit.connection.execute(query).mappings()
    }
    known |= returning(edit, group_id, wanted - known.keys())
    added: list[dict[str, Any]] = []
    ids: list[str] = []
    for ready in batch:
        name = str(ready.columns["external_id_folded"])
        before = known.get(name)
        if before is None:
            row = new_row(edit.new_id("mem"), group_id, ready.columns)
            check({**row, **NOTHING_SET}, row)
            row |= {"workspace_id": edit.workspace_id, "created_at": edit.now_us}
            added.append(row)
        else:
            _put_added(edit, added)  # a later row of the batch may change what an earlier one added
            columns = dict(ready.columns)
            if before["state"] == "archived":
                columns["state"] = "active"  # a paused one stays paused
            check(before, columns)
            action = "member.change"
            if is_nameless(before["external_id_folded"]):
                action = "member.return"
                edit.person_keys.renew(str(before["id"]))
            edit.alter(members, action, before, columns, audited=audited_member)
            row = {**before, **columns}
        known[name] = row
        ids.append(str(row["id"]))
    _put_added(edit, added)
    handed = hand_out(edit, group_id, ids, reissue=reissue) if issue_keys else {}
    issued = {member_id: (key.key_id, key.secret) for member_id, key in handed.items()}
    return [PutRow(member_id, issued.get(member_id)) for member_id in ids]


def put_in_again(edit: Edit, told: Sequence[tuple[str, KeyTold | None]]) -> list[PutRow]:
    """The rows of a batch that was put in before: nobody is changed, and keys that nobody used get fresh secrets."""
    return [
        PutRow(member_id, None if key is None else issue_again(edit, *key))
        for member_id, key in told
    ]


def told_of_rows(rows: Sequence[PutRow], now_us: int) -> list[tuple[str, KeyTold | None]]:
    """What is kept of a batch for whoever repeats the call."""
    return [
        (row.member_id, None if row.issued is None else told_of(row.issued, now_us)) for row in rows
    ]


def _put_added(edit: Edit, added: list[dict[str, Any]]) -> None:
    """Write new members and their audit rows, and empty the list."""
    if not added:
        return
    edit.connection.execute(insert(members), added)
    for row in added:
        edit.audit("member.create", row["id"], None, audited_member(row))
        edit.touch(row["id"])
    added.clear()


def member_columns(change: MemberChange) -> dict[str, object]:
    columns = Columns()
    columns.set("external_id", change.external_id, fields.external_id)
    columns.set("name", change.name, fields.text)
    columns.set("email", change.email, fields.email)
    columns.set("limits", change.limits, fields.limits, unset="[]")
    columns.set("models", change.models, fields.models)
    columns.set("endpoints", change.endpoints, fields.endpoints)
    columns.set("max_output_tokens", change.max_output_tokens, fields.same)
    values = columns.check()
    if "external_id" in values:
        values["external_id_folded"] = folded(str(values["external_id"]))
    return values


def new_row(member_id: str, group_id: str, columns: Mapping[str, object]) -> dict[str, Any]:
    """The row of a member who is new, but for the workspace and the time."""
    return {
        "id": member_id,
        "group_id": group_id,
        "name": None,
        "email": None,
        **NOTHING_SET,
        "state": "active",
        **columns,
    }


def audited_member(columns: Mapping[str, object]) -> dict[str, object]:
    shown = {
        name: value
        for name, value in columns.items()
        if name not in PERSONAL and name not in ("workspace_id", "created_at")
    }
    personal = sorted(PERSONAL.intersection(columns) - {"external_id_folded"})
    return {**shown, "personal": personal} if personal else shown
