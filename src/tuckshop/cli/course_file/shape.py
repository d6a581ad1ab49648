"""What may stand in a course file: the fields of the admin API, and a few that only a file has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec import UNSET, UnsetType
from msgspec import field as default

from tuckshop.domain.external_id import folded
from tuckshop.services.shapes.groups import NewGroup
from tuckshop.services.shapes.members import NewMember
from tuckshop.services.shapes.notify import NotifyOrder
from tuckshop.services.shapes.parts import Sent

FileState = Literal["active", "paused"]


class MemberTable(NewMember, frozen=True, kw_only=True):
    """A `[[group.member]]`."""

    state: FileState | UnsetType = UNSET
    unset: list[str] = default(default_factory=list)


class GroupTable(NewGroup, frozen=True, kw_only=True):
    """A `[[group]]`."""

    state: FileState | UnsetType = UNSET
    unset: list[str] = default(default_factory=list)
    roster: str | UnsetType = UNSET
    id_column: str | UnsetType = UNSET
    notify: NotifyOrder | UnsetType = UNSET
    member: list[MemberTable] | UnsetType = UNSET


class CourseTable(Sent, frozen=True, kw_only=True):
    """The whole file."""

    group: list[GroupTable]


# Fields that are neither sent as they stand nor put back to a default.
GROUP_ONLY_FILE: Final = frozenset({"unset", "roster", "id_column", "notify", "member"})
GROUP_FIELDS: Final = tuple(
    name for name in GroupTable.__struct_fields__ if name not in GROUP_ONLY_FILE
)
MEMBER_FIELDS: Final = tuple(name for name in MemberTable.__struct_fields__ if name != "unset")
# The default of a time zone is the server's own, which a file cannot know.
GROUP_UNSETTABLE: Final = tuple(
    name for name in GROUP_FIELDS if name not in ("name", "state", "time_zone")
)
MEMBER_UNSETTABLE: Final = tuple(
    name for name in MEMBER_FIELDS if name not in ("external_id", "state")
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where something was said."""

    file: str
    line: int
    column: int | None = None

    def __str__(self) -> str:
        column = "" if self.column is None else f":{self.column}"
        return f"{self.file}:{self.line}{column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where."""

    source: Source
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMember:
    """
    A person of the file, of its roster, or of both.

    `fields` are those that are said, in their normal form; None puts one back to its default.
    """

    source: Source
    fields: Mapping[str, object]

    @property
    def external_id(self) -> str:
        """What the institution calls them."""
        return str(self.fields["external_id"])

    @property
    def folded_id(self) -> str:
        """The same, as it is compared."""
        return folded(self.external_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedGroup:
    """A group of the file. `members` None: the file does not say who is in it."""

    source: Source
    name: str
    fields: Mapping[str, object]
    members: tuple[WantedMember, ...] | None
    notify: Mapping[str, object] | None = None  # None: the file does not say who is mailed
    paths: Mapping[str, Source] = field(default_factory=dict, repr=False)  # where each field stands


@dataclass(frozen=True, slots=True)
class Course:
    """A file without a fault."""

    groups: tuple[WantedGroup, ...]
