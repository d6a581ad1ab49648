"""
What has to be done so that a server matches a course file: compared here, done nowhere here.

A field that the file does not say stays as it is, and is told where it is not at its default: a line lost from a file
lifts no limit. People of a group who are not in the file go on, unless they are to be paused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from tuckshop.cli.course_file import fields, notifying
from tuckshop.cli.course_file.shape import GROUP_FIELDS, Course, Source, WantedGroup, WantedMember
from tuckshop.domain.external_id import folded
from tuckshop.domain.respelling import questions

Json = Mapping[str, Any]
Action = Literal["new", "changed", "revived", "unchanged"]
_NOT_LEFT: Final = frozenset({"name", "state", "time_zone"})


@dataclass(frozen=True, slots=True)
class GroupNow:
    """A group as the server has it; archived members too."""

    shape: Json
    members: Sequence[Json]
    version: str | None = None  # what a change of the group is bound to
    notify: Json | None = None  # who is mailed, where that was asked for

    @property
    def hides_names(self) -> bool:
        """Its members are shown under pseudonyms, so that none of them can be found in a file."""
        return any(member["pseudonymous"] for member in self.members)


@dataclass(frozen=True, slots=True)
class Change:
    """One field that gets another value. Of what is new, *before* is None."""

    field: str
    before: object
    after: object  # None: back to its default


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStep:
    """What happens to one member."""

    source: Source
    external_id: str
    name: str | None
    action: Action
    changes: tuple[Change, ...]
    sets_state: str | None  # where it has to be set apart: the row does not carry it


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStep:
    """What happens to one group. `missing` are those of the server whom the file does not name."""

    name: str
    id: str | None  # None: it is made
    version: str | None
    source: Source
    sources: Mapping[str, Source]
    action: Action
    changes: tuple[Change, ...]
    notify: Change | None  # who is mailed, as a whole
    left: tuple[tuple[str, object], ...]  # not in the file, not at the default: stays
    members: tuple[MemberStep, ...]
    missing: tuple[Json, ...]
    questions: tuple[str, ...]
    is_archived: bool
    hides_names: bool  # so members of the file were not compared

    @property
    def changed_members(self) -> tuple[MemberStep, ...]:
        """Those to whom something happens."""
        return tuple(one for one in self.members if one.action != "unchanged")

    @property
    def to_pause(self) -> tuple[Json, ...]:
        """Those missing who can still call."""
        return tuple(one for one in self.missing if one["state"] == "active")

    def changes_anything(self, *, pause_missing: bool) -> bool:
        """Whether the server differs from the file."""
        return (
            self.action != "unchanged"
            or bool(self.changed_members)
            or (pause_missing and bool(self.to_pause))
        )


def plan_of(course: Course, now: Mapping[str, GroupNow]) -> tuple[GroupStep, ...]:
    """
    The steps, in the order of the file.

    Args:
        now: By name, the groups of the file that the server has.
    """
    return tuple(_group(wanted, now.get(wanted.name)) for wanted in course.groups)


def _group(wanted: WantedGroup, now: GroupNow | None) -> GroupStep:
    shape = {} if now is None else now.shape
    hides_names = now is not None and now.hides_names and wanted.members is not None
    if hides_names:
        wanted = replace(wanted, members=None)
    changes = tuple(_changes(fields.GROUP, wanted.fields, None if now is None else shape))
    notify = _notify(wanted, now)
    known = {} if now is None else {folded(one["external_id"]): one for one in now.members}
    members = tuple(_member(one, known.get(one.folded_id)) for one in wanted.members or ())
    named = {one.folded_id for one in wanted.members or ()}
    missing = (
        ()
        if wanted.members is None
        else tuple(
            one for id_, one in known.items() if one["state"] != "archived" and id_ not in named
        )
    )
    people = [(str(one.source), one.external_id) for one in wanted.members or ()]
    return GroupStep(
        name=wanted.name,
        id=None if now is None else str(shape["id"]),
        version=None if now is None else now.version,
        source=wanted.source,
        sources=wanted.paths,
        action="new" if now is None else "changed" if changes or notify else "unchanged",
        changes=changes,
        notify=notify,
        left=tuple(_left(wanted, shape)),
        members=members,
        missing=missing,
        questions=tuple(questions(people, [one["external_id"] for one in known.values()])),
        hides_names=hides_names,
        is_archived=shape.get("state") == "archived" and "state" not in wanted.fields,
    )


def _notify(wanted: WantedGroup, now: GroupNow | None) -> Change | None:
    before = notifying.normal((now.notify if now is not None else None) or {})
    if wanted.notify is None or wanted.notify == before:
        return None
    return Change("notify", before, wanted.notify)


def _member(wanted: WantedMember, now: Json | None) -> MemberStep:
    said = {name: value for name, value in wanted.fields.items() if name != "state"}
    changes = tuple(_changes(fields.MEMBER, said, now))
    state = "active" if now is None or now["state"] == "archived" else str(now["state"])
    wanted_state = str(wanted.fields.get("state", state))
    sets_state = None if wanted_state == state else wanted_state
    if sets_state is not None:
        changes = (*changes, Change("state", state, sets_state))
    action: Action
    if now is None:
        action = "new"
    elif now["state"] == "archived":
        action = "revived"
    else:
        action = "changed" if changes else "unchanged"
    name = wanted.fields.get("name", None if now is None else now["name"])
    return MemberStep(
        source=wanted.source,
        external_id=wanted.external_id,
        name=None if name is None else str(name),
        action=action,
        changes=changes,
        sets_state=sets_state,
    )


def _changes(kind: fields.Kind, said: Mapping[str, object], now: Json | None) -> Iterator[Change]:
    for name, after in said.items():
        if name == "state":
            before = None if now is None else now["state"]
            if before != after and not (now is None and after == "active"):
                yield Change(name, before, after)
        elif now is None:
            if after is not None:
                yield Change(name, None, after)
        elif kind.normal(name, now[name]) != kind.normal(name, after):
            yield Change(name, now[name], after)


def _left(wanted: WantedGroup, shape: Json) -> Iterable[tuple[str, object]]:
    unsaid = [name for name in GROUP_FIELDS if name not in wanted.fields and name not in _NOT_LEFT]
    for name in unsaid:
        if name in shape and not fields.GROUP.is_default(name, shape[name]):
            yield name, shape[name]
    if shape.get("state") == "paused" and "state" not in wanted.fields:
        yield "state", "paused"
