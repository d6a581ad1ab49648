"""Fields of a course file in their normal form."""

from __future__ import annotations

import sys
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


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (None, None),
        ({"hours": ["mon-fri 08:00-18:00"]}, {"hours": ["Mon-Fri 08:00-18:00"]}),
        ({"pii": {"email": "redact"}, "tools": []}, {"pii": {"email": "redact"}, "tools": []}),
    ],
)
def test_rules_are_shown_in_their_normal_form(sent: Any, shown: Any) -> None:
    assert GROUP.printed("rules", sent) == shown
    assert GROUP.normal("rules", sent) == GROUP.normal("rules", shown)
    assert GROUP.is_default("rules", sent) == (shown is None)


def test_rules_that_say_nothing_are_none() -> None:
    assert GROUP.is_default("rules", {})
    assert GROUP.is_default("rules", {"pii": {}, "deny_words": []})
    assert not GROUP.is_default("rules", {"hours": []})


def test_patterns_are_the_servers_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that a file is applied from needs no RE2."""
    monkeypatch.setitem(sys.modules, "re2", None)
    rules = {"deny_patterns": ["(?i)essay"]}

    assert GROUP.printed("rules", rules) == rules
