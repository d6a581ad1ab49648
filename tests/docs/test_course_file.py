"""The page about course files names every field that there is."""

from __future__ import annotations

import re
from pathlib import Path

from tuckshop.cli.course_file.shape import GroupTable, MemberTable

PAGE = (Path(__file__).parents[2] / "docs/how-to/course-file.md").read_text(encoding="utf-8")


def test_every_field_is_named_and_no_other() -> None:
    groups, members = PAGE.split("## Fields")[1].split("In a `[[group.member]]`")

    assert set(GroupTable.__struct_fields__) <= set(re.findall(r"`(\w+)`", groups))
    assert set(re.findall(r"`(\w+)`", members)) == {
        *MemberTable.__struct_fields__,
        *("active", "paused"),
    }
