"""Compared, written, read, and compared again."""

from __future__ import annotations

import csv
import tempfile
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cli.fake_server import GROUP, MEMBER
from tuckshop.cli.course_file.plan import GroupNow, GroupStep, plan_of
from tuckshop.cli.course_file.reading import read_course
from tuckshop.cli.course_file.shape import Course, Source, WantedGroup, WantedMember
from tuckshop.cli.course_file.writing import course_text, roster_rows
from tuckshop.domain.csv_cell import guarded
from tuckshop.domain.external_id import folded
from tuckshop.domain.notices import NOTICE_KINDS

HERE = Source("c.toml", 1, 1)
FRESH: dict[str, Any] = {
    **GROUP,
    **{"title": "", "models": None, "each": [], "max_output_tokens": None},
}
NEW: dict[str, Any] = {**MEMBER, "name": None}


def wanted(members: list[dict[str, object]] | None = None, **said: object) -> Course:
    people = (
        None if members is None else tuple(WantedMember(source=HERE, fields=one) for one in members)
    )
    group = WantedGroup(source=HERE, name="swa", fields={"name": "swa", **said}, members=people)
    return Course((group,))


def step_of(course: Course, shape: dict[str, Any], *members: dict[str, Any]) -> GroupStep:
    (step,) = plan_of(course, {"swa": GroupNow(shape, members)})
    return step


def test_what_the_file_does_not_say_stays_and_is_told() -> None:
    step = step_of(wanted(each=["$0.20/month"]), GROUP)

    assert step.action == "unchanged"
    assert dict(step.left) == {
        "title": "Software architecture",
        "models": ["gpt-4o-mini"],
        "max_output_tokens": 2000,
    }


def test_who_is_mailed_is_compared_only_where_the_file_says_it() -> None:
    mailed = {"mails": ["ada@example.org"], "kinds": None, "members": False, "trouble": None}
    now = {"swa": GroupNow(GROUP, (), notify=mailed)}
    same: dict[str, object] = {"mails": ["ada@example.org"], "kinds": None, "members": False}

    def step(notify: dict[str, object] | None) -> GroupStep:
        (group,) = wanted().groups
        return plan_of(Course((replace(group, notify=notify),)), now)[0]

    assert (step(None).notify, step(None).action) == (None, "unchanged")
    assert step(same).notify is None
    changed = step({**same, "members": True})
    assert changed.action == "changed"
    assert changed.notify is not None
    assert changed.notify.before == same


def test_a_field_that_is_put_back_changes_once() -> None:
    course = wanted(max_output_tokens=None)

    assert [one.field for one in step_of(course, GROUP).changes] == ["max_output_tokens"]
    assert step_of(course, FRESH).changes == ()


def test_members_are_new_changed_revived_or_as_they_are() -> None:
    people: list[dict[str, object]] = [
        {"external_id": "new", "limits": ["$2/month"]},
        {"external_id": "same", "name": "Ada"},
        {"external_id": "gone"},
        {"external_id": "Other@x", "state": "paused"},
    ]

    step = step_of(
        wanted(people),
        GROUP,
        {**NEW, "external_id": "same", "name": "Ada"},
        {**NEW, "external_id": "gone", "state": "archived"},
        {**NEW, "external_id": "other@x"},
        {**NEW, "external_id": "left"},
        {**NEW, "external_id": "left long ago", "state": "archived"},
    )

    assert [one.action for one in step.members] == ["new", "unchanged", "revived", "changed"]
    assert [one.field for one in step.members[3].changes] == ["external_id", "state"]
    assert step.members[3].sets_state == "paused"
    assert [one["external_id"] for one in step.missing] == ["left"]
    assert not step_of(wanted(), GROUP, {**NEW, "external_id": "left"}).missing


def test_a_respelled_id_is_asked_about() -> None:
    """M14."""
    step = step_of(wanted([{"external_id": "42"}]), GROUP, {**NEW, "external_id": "0042"})

    assert "'42' where '0042' is known" in step.questions[0]
    (fresh,) = plan_of(wanted([{"external_id": "42"}, {"external_id": "0042"}]), {})
    assert "'0042' where '42' is known" in fresh.questions[0]


# ── round trip ───────────────────────────────────────────────────────────────────────────────────────────────────────

line = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12).map(
    lambda text: unicodedata.normalize("NFC", text).strip()
)
hostile = st.sampled_from(
    [
        "=1+1",
        "'=x",
        "-5",
        "@a; =b",
        '="0042"',
        "a  b",
        'say "x"',
        "a,b",
        "\u202egnp",
        "\\u0041",
        "#",
        "points possible",
    ]
)
ids = (line | hostile).filter(bool)
limits = st.lists(st.sampled_from(["$0.20/month", "35 requests/minute on gpt-4o*"]), unique=True)
globs = st.none() | st.lists(st.sampled_from(["gpt-4o*", "o3", "b"]), unique=True)
caps = st.none() | st.integers(1, 5000)
people = st.lists(
    st.fixed_dictionaries(
        {
            "external_id": ids,
            "name": st.none() | (line | hostile).filter(bool),
            "email": st.sampled_from([None, "ada@example.org"]),
            "limits": limits,
            "models": globs,
            "endpoints": globs,
            "max_output_tokens": caps,
            "state": st.sampled_from(["active", "active", "paused", "archived"]),
        }
    ),
    max_size=5,
    unique_by=lambda one: folded(str(one["external_id"])),
)
groups = st.fixed_dictionaries(
    {
        "title": line | hostile,
        "time_zone": st.sampled_from(["UTC", "Europe/Berlin"]),
        "models": globs,
        "endpoints": globs,
        "each": limits,
        "shared": limits,
        "max_output_tokens": caps,
        "min_output_tokens": st.sampled_from([1024, 16]),
        "patience_s": st.sampled_from([20, 0]),
        "on_disconnect": st.sampled_from(["drain", "cancel"]),
        "unknown_parameters": st.sampled_from(["refuse", "pass"]),
        "show_shared": st.booleans(),
        "state": st.sampled_from(["active", "paused"]),
    }
)


notified = st.fixed_dictionaries(
    {
        "mails": st.lists(st.sampled_from(["ada@example.org", "g@uni.example.org"]), unique=True),
        "kinds": st.none()
        | st.lists(st.sampled_from(NOTICE_KINDS), min_size=1, unique=True).map(sorted),
        "members": st.booleans(),
    }
)


@settings(max_examples=60)
@given(groups, people, notified, st.booleans())
def test_a_file_written_makes_the_same_again(
    policy: dict[str, Any],
    members: list[dict[str, Any]],
    mailed: dict[str, Any],
    in_two_files: bool,
) -> None:
    """Export, apply on a fresh server, export: the same bytes; applied where it came from it changes nothing. K13."""
    now = GroupNow({**FRESH, **policy}, [{**NEW, **one} for one in members], notify=mailed)
    with tempfile.TemporaryDirectory() as folder:
        file, roster = Path(folder, "c.toml"), Path(folder, "r.csv")
        text, rows = _written(now, "r.csv" if in_two_files else None)
        file.write_text(text, encoding="utf-8", newline="")
        with roster.open("w", encoding="utf-8", newline="") as opened:
            csv.writer(opened).writerows([[guarded(cell) for cell in row] for row in rows])

        course = read_course(file)

    assert not plan_of(course, {"swa": now})[0].changes_anything(pause_missing=True)
    (step,) = plan_of(course, {})
    assert _written(_made(step), "r.csv" if in_two_files else None) == (text, rows)


def _written(now: GroupNow, roster: str | None) -> tuple[str, list[list[str]]]:
    return course_text([now], comments=["now"], roster=roster), roster_rows(now)


def _made(step: GroupStep) -> GroupNow:
    """What a server makes of a plan for a group that it does not have."""
    shape = {**FRESH, **{one.field: one.after for one in step.changes}}
    people = [
        {
            **NEW,
            "external_id": one.external_id,
            **{change.field: change.after for change in one.changes},
        }
        for one in step.members
    ]
    return GroupNow(shape, people, notify=None if step.notify is None else step.notify.after)  # type: ignore[arg-type]
