"""Fields of a course file in their normal form."""

from __future__ import annotations

from typing import Any

import pytest

from tuckshop.cli.course_file.fields import GROUP


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"count": 5}, {"count": 5, "days": 30, "pause": "member"}),
        ({}, {"count": 3, "days": 30, "pause": "member"}),
        (None, None),
    ],
)
def test_strikes_are_shown_with_what_was_left_out(sent: Any, shown: Any) -> None:
    assert GROUP.printed("strikes", sent) == shown
    assert GROUP.normal("strikes", sent) == GROUP.normal("strikes", shown)
    assert GROUP.is_default("strikes", sent) == (sent is None)


def test_a_field_that_nothing_obeys_yet_is_shown_as_it_is() -> None:
    assert GROUP.printed("objects", "own") == "own"
