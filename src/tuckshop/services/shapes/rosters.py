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


# "known", and no more, of a group that hides who its members are.
RosterAction = Literal["new", "known", "changed", "unchanged", "revived"]


class RosterRow(Shown, frozen=True, kw_only=True):
    """
    What importing a line of a file does. `changes` names the fields that get another value.

    Of a name and an e-mail address among them `before` and `after` have the values, but of a group that hides who its
    members are.
    """

    line: int
    external_id: str
    name: str | None
    action: RosterAction
    changes: list[str]
    before: dict[str, str | None]
    after: dict[str, str | None]


class MissingMember(Shown, frozen=True, kw_only=True):
    """Who is in the group and not in the file."""

    id: str
    external_id: str
    name: str | None
    state: State


class Roster(Shown, frozen=True, kw_only=True):
    """
    What became of the rows sent.

    Of a file also how many rows did what (`counts`), the rows that changed somebody, and who is in the group and not
    in the file. Of a group that hides who its members are, only how many: `count` and `missing_count`.
    """

    data: list[MemberShape]
    errors: list[RowError]
    missing: list[MissingMember] | UnsetType = UNSET
    count: int | UnsetType = UNSET
    counts: dict[RosterAction, int] | UnsetType = UNSET
    changed: list[RosterRow] | UnsetType = UNSET
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
