"""K13: a group with every field set goes into a file and comes back: nothing is lost, nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tuckshop.cli.course_file import fields
from tuckshop.cli.course_file.plan import GroupNow, GroupStep, plan_of
from tuckshop.cli.course_file.reading import read_course
from tuckshop.cli.course_file.shape import GROUP_FIELDS
from tuckshop.cli.course_file.writing import course_text
from tuckshop.domain.errors import InvalidFieldsError

# Not one of them at its default. A field that is new belongs in here.
VALUES: Final[Mapping[str, object]] = {
    "name": "everything",
    "title": 'Every "field" there is \\ #',
    "time_zone": "Europe/Berlin",
    "models": ["gpt-4o-mini", "text-embedding-*"],
    "endpoints": ["chat", "embeddings"],
    "tools": ["web_search"],
    "each": ["$0.20/month", "35 requests/minute on gpt-4o-mini", "4 concurrent requests"],
    "shared": ["$9 total"],
    "carry_over": "$5",
    "max_output_tokens": 500,
    "min_output_tokens": 64,
    "patience_s": 7,
    "on_disconnect": "cancel",
    "unknown_parameters": "pass",
    "provider_storage": "on",
    "objects": "shared",
    "show_shared": True,
    "self_rotate": True,
    "pseudonyms": True,
    "moderation": {
        "mode": "block",
        "fail": "open",
        "thresholds": {"hate/threatening": 0.4, "violence": 0.05},
    },
    "strikes": {"count": 5, "days": 7, "pause": "none"},
    "logging": {
        "bodies": "flagged",
        "days": 9,
        "purpose": 'appeals: \\ "of" #1',
        "readers": ["viewer", "owner"],
    },
    "log_days": 90,
    "rules": {
        "deny_words": ["Klausur 3", 'ex"am" \\ #'],
        "deny_patterns": ["exam ?[0-9]{1,3}"],
        "pii": {"email": "redact", "phone": "block"},
        "tools": [],
        "max_input_tokens": 4000,
        "system_prompt": {"text": "Line one\n\nline \"two\" \\ #\t'''", "mode": "enforce"},
        "hours": ["Mon-Fri 08:00-20:00"],
        "networks": ["192.0.2.0/24", "2001:db8::/48"],
    },
    "state": "paused",
}
# Taken only with their defaults as yet: the server refuses all else, and so does the file.
NOT_YET: Final = ("tools", "provider_storage", "objects")
APART: Final = (
    "name",
    "time_zone",
    "state",
)  # these have no default of their own, or are always told


# As a group without a policy is shown.
_DEFAULTS: Final[Mapping[str, object]] = {
    "title": "",
    "models": None,
    "endpoints": None,
    "tools": [],
    "each": [],
    "shared": [],
    "carry_over": None,
    "max_output_tokens": None,
    "min_output_tokens": 1024,
    "patience_s": 20,
    "on_disconnect": "drain",
    "unknown_parameters": "refuse",
    "provider_storage": "off",
    "objects": "own",
    "show_shared": False,
    "self_rotate": False,
    "pseudonyms": False,
    "moderation": {"mode": "off", "fail": "closed", "thresholds": {}},
    "strikes": None,
    "logging": {"bodies": "off", "days": 30, "purpose": "", "readers": ["owner"]},
    "log_days": 400,
    "rules": None,
}


def shape_of(values: Mapping[str, object]) -> dict[str, object]:
    """The group as the API shows it."""
    shown = {name: fields.GROUP.printed(name, value) for name, value in values.items()}
    return {
        **{name: _DEFAULTS[name] for name in GROUP_FIELDS if name in _DEFAULTS},
        **shown,
        "id": "grp_1",
    }


def through_a_file(now: GroupNow, file: Path, known: Mapping[str, GroupNow]) -> GroupStep:
    file.write_text(course_text([now], comments=["now"], roster=None), encoding="utf-8")
    (step,) = plan_of(read_course(file), known)
    return step


def test_every_field_has_a_value_here_that_is_not_its_default() -> None:
    assert set(GROUP_FIELDS) <= set(VALUES)
    for name in set(GROUP_FIELDS) - {*APART, *NOT_YET}:
        assert not fields.GROUP.is_default(name, VALUES[name]), name
    for name in NOT_YET:
        with pytest.raises(InvalidFieldsError):
            fields.GROUP.normal(name, VALUES[name])


def test_a_group_with_every_field_set_comes_back_as_it_was(tmp_path: Path) -> None:
    said = {
        name: value
        for name, value in VALUES.items()
        if name in GROUP_FIELDS and name not in NOT_YET
    }
    now = GroupNow(shape_of(said), ())

    same = through_a_file(now, tmp_path / "c.toml", {"everything": now})
    elsewhere = through_a_file(now, tmp_path / "c.toml", {})

    assert (same.action, same.changes, same.left) == ("unchanged", (), ())
    assert {one.field for one in elsewhere.changes} == set(said)
    made = {one.field: one.after for one in elsewhere.changes}
    again = GroupNow(shape_of(made), ())
    assert again.shape == now.shape


@pytest.mark.parametrize("name", sorted(set(GROUP_FIELDS) - {*APART, *NOT_YET}))
def test_a_field_alone_changes_nothing_where_it_came_from(tmp_path: Path, name: str) -> None:
    """And is told as left where a file does not say it."""
    base = {"name": "everything", "time_zone": "UTC", "state": "active"}
    now = GroupNow(shape_of({**base, name: VALUES[name]}), ())

    step = through_a_file(now, tmp_path / "c.toml", {"everything": now})
    bare = tmp_path / "bare.toml"
    bare.write_text('[[group]]\nname = "everything"\n')
    (unsaid,) = plan_of(read_course(bare), {"everything": now})

    assert (step.action, step.left) == ("unchanged", ())
    assert (unsaid.action, [one for one, _ in unsaid.left]) == ("unchanged", [name])
