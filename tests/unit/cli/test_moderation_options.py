"""The options of checks: one field of the API, told in lines that fit a terminal (section 12)."""

from __future__ import annotations

from typing import Any

import pytest

from tuckshop.cli.moderation import gathered, told

NOW = {"mode": "log", "fail": "closed", "thresholds": {"hate": 0.5}, "upstream": "openai"}
NONE: dict[str, Any] = {
    "moderation": None,
    "moderation_fail": None,
    "moderation_unreadable": None,
    "moderation_upstream": None,
    "moderation_threshold": (),
    "moderation_outputs": None,
}


def test_what_is_not_given_stays_and_thresholds_are_replaced() -> None:
    given = {**NONE, "title": "x", "moderation_threshold": (("violence", 0.8),)}

    fields = gathered({**given, "moderation_outputs": "block"}, lambda: dict(NOW))

    assert fields == {
        "title": "x",
        "moderation": {**NOW, "outputs": "block", "thresholds": {"violence": 0.8}},
    }


def test_without_options_nothing_is_asked_or_sent() -> None:
    def asked() -> dict[str, Any]:
        raise AssertionError("nobody need know what is in force")

    assert gathered({**NONE, "title": "x"}, asked) == {"title": "x"}


@pytest.mark.parametrize(
    ("moderation", "lines"),
    [
        ({"mode": "off", "fail": "open", "thresholds": {}}, [("moderation", "off")]),
        (
            {"mode": "off", "fail": "open", "thresholds": {}, "outputs": "log"},
            [("moderation", "asked: off, answers: log, fails open")],
        ),
        (
            {**NOW, "mode": "block", "unreadable": "pass"},
            [
                ("moderation", "asked: block, fails closed"),
                ("  unreadable", "passes"),
                ("  by", "openai"),
                ("  hate", "from 0.5"),
            ],
        ),
    ],
)
def test_they_are_told_line_by_line(
    moderation: dict[str, Any], lines: list[tuple[str, str]]
) -> None:
    assert told(moderation) == lines
