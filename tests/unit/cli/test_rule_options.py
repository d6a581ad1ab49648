"""The options about a group's rules, against a fake server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, FakeServer

RULES: dict[str, Any] = {
    "deny_words": ["exam solution"],
    "pii": {"email": "redact"},
    "system_prompt": {"text": "Teach botany.", "mode": "enforce"},
    "hours": ["Mon-Fri 08:00-18:00"],
}


def edited(run: Run, server: FakeServer, *options: str, before: Any = None) -> Any:
    """What is sent for these options, where the group has the rules *before*."""
    server.will_answer({**GROUP, "rules": before})
    server.will_answer({**GROUP, "rules": RULES})
    result = run("group", "edit", "swa", *options, environment=server.environment())
    assert result.exit_code == 0, result.output
    assert [asked.method for asked in server.asked] == ["GET", "PATCH"]
    return server.asked[1].body["rules"]


def test_rules_are_said_by_options_and_shown(run: Run, server: FakeServer, tmp_path: Path) -> None:
    words, prompt = tmp_path / "words.txt", tmp_path / "prompt.txt"
    words.write_text("one\n\n two words \n")
    prompt.write_text("Teach botany.\n")
    server.will_answer({**GROUP, "rules": RULES})

    result = run(
        *(
            "group",
            "create",
            "swa",
            "--rules-deny-words",
            "three",
            "--rules-deny-words-file",
            str(words),
        ),
        *(
            "--rules-pii",
            "email=redact",
            "--rules-pii",
            "iban=block",
            "--rules-max-input-tokens",
            "4000",
        ),
        *("--rules-system-prompt-file", str(prompt), "--rules-system-prompt-mode", "enforce"),
        *("--rules-hours", "Mon-Fri 08:00-18:00", "--rules-networks", "10.0.0.0/8"),
        *("--rules-empty", "tools", "--rules-deny-patterns", "(?i)essay"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.output
    assert server.asked[0].body == {
        "name": "swa",
        "rules": {
            "deny_words": ["three", "one", "two words"],
            "deny_patterns": ["(?i)essay"],
            "pii": {"email": "redact", "iban": "block"},
            "max_input_tokens": 4000,
            "system_prompt": {"text": "Teach botany.", "mode": "enforce"},
            "hours": ["Mon-Fri 08:00-18:00"],
            "networks": ["10.0.0.0/8"],
            "tools": [],
        },
    }
    assert "enforce: Teach botany." in result.output
    assert "1 word\n" in result.output
    assert "exam" not in result.output, "a list of them may be long, and not for every eye"


def test_what_is_not_named_of_the_rules_stays(run: Run, server: FakeServer) -> None:
    sent = edited(run, server, "--rules-hours", "Sat 09:00-13:00", before=RULES)

    assert sent == {**RULES, "hours": ["Sat 09:00-13:00"]}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (("--rules-unset", "hours", "--rules-unset", "pii"), ("deny_words", "system_prompt")),
        (("--rules-empty", "hours"), ("deny_words", "pii", "system_prompt", "hours")),
        (
            ("--rules-system-prompt-mode", "prepend"),
            ("deny_words", "pii", "system_prompt", "hours"),
        ),
    ],
)
def test_a_rule_is_taken_back_or_emptied_or_changed_in_part(
    run: Run, server: FakeServer, options: tuple[str, ...], sent: tuple[str, ...]
) -> None:
    rules = edited(run, server, *options, before=RULES)

    assert set(rules) == set(sent)
    if "--rules-empty" in options:
        assert rules["hours"] == []
    if "--rules-system-prompt-mode" in options:
        assert rules["system_prompt"] == {"text": "Teach botany.", "mode": "prepend"}


def test_all_of_them_are_taken_back_at_once(run: Run, server: FakeServer) -> None:
    server.will_answer(GROUP)

    result = run("group", "edit", "swa", "--unset", "rules", environment=server.environment())

    assert result.exit_code == 0, result.output
    assert server.asked[-1].body == {"rules": None}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--rules-pii", "email"), "KIND=ACTION"),
        (("--rules-pii", "email=hide"), "KIND=ACTION"),
        (("--rules-deny-words-file", "/no/such/file"), "cannot be read"),
        (("--rules-system-prompt", "a", "--rules-system-prompt-file", "b"), "twice"),
        (("--rules-hours", "Mon 08:00-09:00", "--rules-unset", "hours"), "twice"),
        (("--rules-system-prompt-mode", "enforce"), "no system prompt yet"),
    ],
)
def test_what_makes_no_sense_is_a_wrong_usage(
    run: Run, server: FakeServer, options: tuple[str, ...], told: str
) -> None:
    server.will_answer(GROUP)

    result = run("group", "edit", "swa", *options, environment=server.environment())

    assert result.exit_code == 2
    assert told in result.output
    assert all(asked.method == "GET" for asked in server.asked)
