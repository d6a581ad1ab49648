"""What a roster file would do to a group, row by row, and what looks as if it would go wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from tuckshop.services.roster import ReadyRow
from tuckshop.services.shapes.rosters import MissingMember, RosterAction, RosterRow
from tuckshop.storage.schema import members

# A file of few new people is a late enrolment; one that is mostly new to a group of many has respelled ids.
_NEW_MANY: Final = 5
_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What will happen to each row, who is in the group and not in the file, and what to ask before."""

    rows: list[RosterRow]
    missing: list[MissingMember]
    questions: list[str]


def look_ahead(
    connection: Connection, workspace_id: str, group_id: str, ready: Sequence[ReadyRow]
) -> Outlook:
    """Compare *ready* with the members of the group as *connection* sees them, archived ones included."""
    query = select(members).where(
        members.c.workspace_id == workspace_id, members.c.group_id == group_id
    )
    known: dict[str, Mapping[str, Any]] = {
        str(row["external_id_folded"]): dict(row)
        for row in connection.execute(query.order_by(members.c.id)).mappings()
    }
    rows = [_row(one, known.get(str(one.columns["external_id_folded"]))) for one in ready]
    named = {str(one.columns["external_id_folded"]) for one in ready}
    missing = [
        MissingMember(
            id=row["id"], external_id=row["external_id"], name=row["name"], state=row["state"]
        )
        for folded_id, row in known.items()
        if row["state"] != "archived" and folded_id not in named
    ]
    return Outlook(rows=rows, missing=missing, questions=list(_questions(ready, known, rows)))


def _row(ready: ReadyRow, before: Mapping[str, Any] | None) -> RosterRow:
    changes = [
        name
        for name, value in ready.columns.items()
        if name != "external_id_folded" and (before is None or before[name] != value)
    ]
    action: RosterAction
    if before is None:
        action = "new"
    elif before["state"] == "archived":
        action = "revived"
    else:
        action = "changed" if changes else "unchanged"
    name = ready.columns.get("name", None if before is None else before["name"])
    return RosterRow(
        line=ready.line,
        external_id=str(ready.columns["external_id"]),
        name=None if name is None else str(name),
        action=action,
        changes=[] if before is None else changes,
    )


def _questions(
    ready: Sequence[ReadyRow], known: Mapping[str, Mapping[str, Any]], rows: Sequence[RosterRow]
) -> Iterable[str]:
    new = [row for row in rows if row.action == "new"]
    if known and len(new) >= _NEW_MANY and 2 * len(new) > len(rows):
        yield (
            f"{len(new)} of {len(rows)} lines are new, although the group has {len(known)} members: "
            "does this file spell their ids in another way, or belong to another group?"
        )
    alike: dict[str, str] = {}
    for row in known.values():
        alike.setdefault(_bare(row["external_id"]), row["external_id"])
    respelled = []
    for one in ready:
        if str(one.columns["external_id_folded"]) in known:
            continue
        external_id = str(one.columns["external_id"])
        twin = alike.setdefault(_bare(external_id), external_id)
        if twin != external_id:
            respelled.append(f"line {one.line} has {external_id!r} where {twin!r} is known")
    if respelled:
        more = len(respelled) - _EXAMPLES
        yield (
            "ids differ only by leading zeros or by case, as a spreadsheet leaves them: "
            + "; ".join(respelled[:_EXAMPLES])
            + (f"; and {more} more" if more > 0 else "")
        )


def _bare(external_id: str) -> str:
    """What is left of an id after a spreadsheet took it for a number, or somebody typed it in capitals."""
    return external_id.strip().casefold().lstrip("0")
