"""A plan as people read it, in colour on a terminal and by its signs everywhere, and as JSON for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from tuckshop.cli.course_file.plan import Action, Change, GroupStep, MemberStep
from tuckshop.cli.output import clean, json_line

_SIGNS: Final[Mapping[Action, str]] = {"new": "+", "changed": "~", "revived": "^", "unchanged": " "}
_COLOURS: Final = {"+": "green", "~": "yellow", "^": "cyan", "-": "red", "?": "magenta"}
_WORDS: Final = {
    "new": "new",
    "changed": "to change",
    "revived": "to come back from the archive",
    "unchanged": "as they are",
}
_SHOWN_MISSING: Final = 20


def print_plan(steps: Sequence[GroupStep], *, pause_missing: bool) -> None:
    """Print what differs, group by group."""
    for step in steps:
        for line in _lines(step, pause_missing=pause_missing):
            click.secho(clean(line), fg=_COLOURS.get(line.lstrip()[:1]))


def plan_json(steps: Sequence[GroupStep], *, pause_missing: bool) -> list[dict[str, Any]]:
    """The same as data."""
    return [
        {
            "name": step.name,
            "action": step.action,
            "changes": [_change_json(one) for one in (*step.changes, *_notify(step))],
            "left": dict(step.left),
            "members": [
                {
                    "external_id": one.external_id,
                    "action": one.action,
                    "changes": [_change_json(change) for change in one.changes],
                }
                for one in step.changed_members
            ],
            "missing": [
                {
                    "external_id": one["external_id"],
                    "name": one["name"],
                    "state": one["state"],
                    "action": "pause" if pause_missing and one["state"] == "active" else "stay",
                }
                for one in step.missing
            ],
            "questions": list(step.questions),
            "members_compared": not step.hides_names,
        }
        for step in steps
    ]


def _lines(step: GroupStep, *, pause_missing: bool) -> Iterator[str]:
    yield f"{_SIGNS[step.action]} group {step.name}"
    for change in step.changes:
        if change.field != "name":
            yield from _field(change, indent="    ")
    for change in _notify(step):
        yield from _field(change, indent="    ")
    for name, value in step.left:
        yield f"      {name} = {json_line(value)}  (not in the file: stays)"
    for one in step.changed_members:
        yield from _member(one)
    for place, missing in enumerate(step.missing):
        if place == _SHOWN_MISSING:
            yield f"      and {len(step.missing) - place} more who are not in the file; all of them: --json"
            break
        is_paused_now = pause_missing and missing["state"] == "active"
        what = "is paused" if is_paused_now else f"stays {missing['state']}"
        sign = "-" if is_paused_now else " "
        yield f"  {sign} {missing['external_id']}  {missing['name'] or ''}  (not in the file: {what})"
    counts = Counter(one.action for one in step.members)
    told = [f"{counts[action]} {_WORDS[action]}" for action in _SIGNS if counts[action]]
    if told:
        yield f"  members: {', '.join(told)}"
    if step.hides_names:
        yield "  members: shown under pseudonyms, so they are not compared (tuckshop member import takes a roster)"
    for question in step.questions:
        yield f"? {question}"


def _notify(step: GroupStep) -> Iterator[Change]:
    """What changes of who is mailed, field by field."""
    if step.notify is None:
        return
    before, after = step.notify.before, step.notify.after
    assert isinstance(before, Mapping)
    assert isinstance(after, Mapping)
    for name in after:
        if before[name] != after[name]:
            yield Change(f"notify.{name}", before[name], after[name])


def _member(step: MemberStep) -> Iterator[str]:
    yield f"  {_SIGNS[step.action]} {step.external_id}  {step.name or ''}".rstrip()
    shown = [
        one
        for one in step.changes
        if one.field not in ("external_id", "name") or step.action != "new"
    ]
    for change in shown:
        yield from _field(change, indent="      ")


def _field(change: Change, *, indent: str) -> Iterator[str]:
    """A list by its elements, anything else as before and after."""
    before, after = change.before, change.after
    is_list = isinstance(after, list) and isinstance(before, list | None)
    is_list = is_list or (after is None and isinstance(before, list))
    if is_list:
        old, new = _list(before), _list(after)
        if old != new and sorted(old) == sorted(new):
            yield f"{indent}~ {change.field}: {json_line(old)} → {json_line(new)}"
            return
        yield from (f"{indent}- {change.field}: {one}" for one in old if one not in new)
        yield from (f"{indent}+ {change.field}: {one}" for one in new if one not in old)
        if not new:
            shown = "default" if after is None else "[]"
            yield f"{indent}~ {change.field}: {shown}"
    elif before is None:
        yield f"{indent}+ {change.field}: {json_line(after)}"
    elif after is None:
        yield f"{indent}- {change.field}: {json_line(before)} → default"
    else:
        yield f"{indent}~ {change.field}: {json_line(before)} → {json_line(after)}"


def _list(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _change_json(change: Change) -> dict[str, object]:
    return {"field": change.field, "before": change.before, "after": change.after}
