"""Several people edit one group at once by the command: nobody's change is undone by who was slower."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.processes import COMMAND, clean_environment, start_server
from tests.support.shell import Shell

EDITS = (
    (("--rules-max-input-tokens", "4000"), "max_input_tokens", 4000),
    (("--rules-hours", "Mon-Fri 08:00-18:00"), "hours", ["Mon-Fri 08:00-18:00"]),
    (("--rules-deny-words", "essay"), "deny_words", ["essay"]),
    (("--rules-pii", "email=redact"), "pii", {"email": "redact"}),
)
ROUNDS_MAX = 8


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    server = start_server(tmp_path_factory.mktemp("server"), None)
    yield Shell(server)
    assert server.stop() == 0


def test_of_rules_edited_at_once_none_is_lost(shell: Shell) -> None:
    """M2: rules are one field, sent whole; each edit adds to what it read, so an older reading is refused."""
    shell.run("group", "create", "swa", "--each", "$1/month")
    todo, rounds = dict.fromkeys(range(len(EDITS))), 0
    refused: list[str] = []
    while todo:
        rounds += 1
        assert rounds <= ROUNDS_MAX, "at least one of them gets through each time"
        running = {
            number: subprocess.Popen(
                [str(COMMAND), "group", "edit", "swa", *EDITS[number][0]],
                env=clean_environment() | {"TUCKSHOP_DATA": str(shell.server.data)},
                cwd=shell.server.data.parent,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in todo
        }
        for number, process in running.items():
            _, told = process.communicate(timeout=60)
            if process.returncode == 0:
                del todo[number]
            else:
                refused.append(told)
        rules = shell.json("group", "show", "swa")["rules"]
        for number, (_, field, value) in enumerate(EDITS):
            if number not in todo:
                assert rules[field] == value, "a change that was said to be made is there"
    for told in refused:
        assert "It was changed since you read it, last by" in told
        assert "run this again" in told


def test_edits_one_after_another_all_go_through(shell: Shell) -> None:
    shell.run("group", "create", "swb", "--each", "$1/month")
    member = shell.json("member", "create", "4711", "--group", "swb")["data"][0]["id"]

    shell.run("member", "edit", member, "--name", "Ada")
    shell.run("group", "edit", "swb", "--title", "B")
    key = shell.json("key", "create", "--member", member)["id"]
    shell.run("key", "edit", key, "--name", "laptop")

    assert shell.json("member", "show", member)["name"] == "Ada"
    assert shell.json("key", "show", key)["name"] == "laptop"
    assert shell.json("group", "show", "swb")["title"] == "B"
