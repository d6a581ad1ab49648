"""Rosters: files and lists of members."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from tuckshop.domain.records import State
from tuckshop.services.shapes.members import MemberShape
from tuckshop.services.shapes.parts import Shown


class RowError(Shown, frozen=True, kw_only=True):
    """Why a row of a roster did not go in."""

    line: int  # from 1
    field: str | None
    message: str


RosterAction = Literal["new", "changed", "unchanged", "revived"]


class RosterRow(Shown, frozen=True, kw_only=True):
    """What importing a line of a file would do. `changes` names the fields that would get another value."""

    line: int
    external_id: str
    name: str | None
    action: RosterAction
    changes: list[str]


class MissingMember(Shown, frozen=True, kw_only=True):
    """Who is in the group and not in the file."""

    id: str
    external_id: str
    name: str | None
    state: State


class Roster(Shown, frozen=True, kw_only=True):
    """
    What became of the rows sent, and, of a file, who is in the group and not in it.

    Of a group that hides who its members are, only how many: `count` and `missing_count`.
    """

    data: list[MemberShape]
    errors: list[RowError]
    missing: list[MissingMember] | UnsetType = UNSET
    count: int | UnsetType = UNSET
    missing_count: int | UnsetType = UNSET


class RosterPreview(Shown, frozen=True, kw_only=True):
    """
    What importing a file would do, and how it was read.

    `columns` are those that are read, by field; `questions` have to be answered before it is imported.
    """

    rows: list[RosterRow]
    errors: list[RowError]
    missing: list[MissingMember]  # empty in a group that hides who its members are …
    missing_count: int  # … and how many they are
    questions: list[str]
    columns: dict[str, str]
    ignored: list[str]
    encoding: str
    delimiter: str
