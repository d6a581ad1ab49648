"""What a roster file would do to a group, row by row, and what looks as if it would go wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from tuckshop.domain.respelling import questions
from tuckshop.services.roster import ReadyRow
from tuckshop.services.shapes.rosters import MissingMember, RosterAction, RosterRow
from tuckshop.storage.schema import members

_TOLD: Final = ("name", "email")  # of these the values are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What will happen to each row, who is in the group and not in the file, and what to ask before."""

    rows: list[RosterRow]
    missing: list[MissingMember]
    questions: list[str]


def look_ahead(
    connection: Connection,
    workspace_id: str,
    group_id: str,
    ready: Sequence[ReadyRow],
    *,
    tells_ids: bool,
) -> Outlook:
    """
    Compare *ready* with the members of the group as *connection* sees them, archived ones included.

    Args:
        tells_ids: Whether rows and questions may say what only the server knows of the members.
    """
    query = select(members).where(
        members.c.workspace_id == workspace_id, members.c.group_id == group_id
    )
    known: dict[str, Mapping[str, Any]] = {
        str(row["external_id_folded"]): dict(row)
        for row in connection.execute(query.order_by(members.c.id)).mappings()
    }
    rows = [
        _row(one, known.get(str(one.columns["external_id_folded"])), tells=tells_ids)
        for one in ready
    ]
    named = {str(one.columns["external_id_folded"]) for one in ready}
    missing = [
        MissingMember(
            id=row["id"], external_id=row["external_id"], name=row["name"], state=row["state"]
        )
        for folded_id, row in known.items()
        if row["state"] != "archived" and folded_id not in named
    ]
    people = [(f"line {one.line}", str(one.columns["external_id"])) for one in ready]
    ids = [row["external_id"] for row in known.values()]
    asked = questions(people, ids, tells_ids=tells_ids)
    return Outlook(rows=rows, missing=missing, questions=list(asked))


def _row(ready: ReadyRow, before: Mapping[str, Any] | None, *, tells: bool) -> RosterRow:
    changes = [
        name
        for name, value in ready.columns.items()
        if name != "external_id_folded" and (before is None or before[name] != value)
    ]
    action: RosterAction
    if before is None:
        action = "new"
    elif not tells:
        action = "known"
    elif before["state"] == "archived":
        action = "revived"
    else:
        action = "changed" if changes else "unchanged"
    told = [one for one in changes if one in _TOLD]
    shown = before if tells else None
    name = ready.columns.get("name", None if shown is None else shown["name"])
    return RosterRow(
        line=ready.line,
        external_id=str(ready.columns["external_id"]),
        name=None if name is None else str(name),
        action=action,
        changes=[] if shown is None else changes,
        before={} if shown is None else {one: shown[one] for one in told},
        after={} if shown is None else {one: _text(ready.columns[one]) for one in told},
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
