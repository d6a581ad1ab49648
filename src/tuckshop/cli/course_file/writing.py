"""Groups of a server as a course file: all that is not at its default, so that it makes the same elsewhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tuckshop.cli.course_file import fields, notifying, toml_text
from tuckshop.cli.course_file.plan import GroupNow
from tuckshop.cli.course_file.shape import GROUP_FIELDS, MEMBER_FIELDS
from tuckshop.domain.csv_cell import guarded
from tuckshop.domain.external_id import folded
from tuckshop.services.roster_csv.reader import read_csv
from tuckshop.services.shapes.members import NewMember

Json = Mapping[str, Any]
ROSTER_HEADER: Final = ("external_id", "name", "email")


def course_text(groups: Iterable[GroupNow], *, comments: Sequence[str], roster: str | None) -> str:
    """
    The file.

    Args:
        comments: Lines at its top; all below is the same for the same groups, whenever and wherever they are read.
        roster: The name of a file that `roster_rows` fills; None: all members stand in this one.
    """
    lines = [f"# {''.join(one if one.isprintable() else '?' for one in line)}" for line in comments]
    for group in groups:
        lines += ["", *_group(group, roster)]
    return "\n".join(lines) + "\n"


def roster_rows(group: GroupNow) -> list[list[str]]:
    """The members whom a CSV file can hold as they are, below a header."""
    rows = [[str(member[name] or "") for name in ROSTER_HEADER] for member in _people(group)]
    return [list(ROSTER_HEADER), *rows]


def _group(group: GroupNow, roster: str | None) -> Iterator[str]:
    said: dict[str, object] = {
        name: group.shape[name]
        for name in GROUP_FIELDS
        if name in ("name", "time_zone")
        or (name != "state" and not fields.GROUP.is_default(name, group.shape[name]))
    }
    if group.shape["state"] == "paused":
        said["state"] = "paused"
    if group.notify is not None and (mailed := notifying.written(group.notify)):
        said["notify"] = mailed
    if group.hides_names:
        # Nothing about members: an empty list would say that there are none, and pseudonyms would become people.
        return toml_text.table("[[group]]", said)
    rows = [_member(member) for member in _people(group)]
    if roster is not None:
        said["roster"] = roster
        rows = list(_beside(rows, _read_back(roster_rows(group))))
    if rows or roster is None:
        said["member"] = rows
    return toml_text.table("[[group]]", said)


def _people(group: GroupNow) -> list[Json]:
    """In an order that does not tell in which they came."""
    there = (member for member in group.members if member["state"] != "archived")
    return sorted(there, key=lambda member: folded(member["external_id"]))


def _member(member: Json) -> dict[str, object]:
    said = {
        name: member[name]
        for name in MEMBER_FIELDS
        if name == "external_id"
        or (name != "state" and not fields.MEMBER.is_default(name, member[name]))
    }
    if member["state"] == "paused":
        said["state"] = "paused"
    return said


def _beside(
    rows: Iterable[dict[str, object]], roster: Mapping[str, Json]
) -> Iterator[dict[str, object]]:
    """What the roster does not say of each member, with the id it belongs to."""
    for row in rows:
        known = roster.get(folded(str(row["external_id"])), {})
        rest = {name: value for name, value in row.items() if known.get(name) != value}
        if rest:
            yield {"external_id": row["external_id"], **rest}


def _read_back(rows: Sequence[Sequence[str]]) -> Mapping[str, Json]:
    """What a roster of *rows* is read as: cells lose the white space that names may have in them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [[guarded(cell) for cell in row] for row in rows]
    )
    if len(rows) == 1:
        return {}
    return {
        folded(line.row.external_id): {
            name: value
            for name in ROSTER_HEADER
            if isinstance(value := getattr(line.row, name), str)
        }
        for line in read_csv(text.getvalue().encode()).lines
        if isinstance(line.row, NewMember)
    }
