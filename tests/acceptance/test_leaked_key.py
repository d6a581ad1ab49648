"""A key leaks: whose it is, closing it, closing many; and what one person's several keys may do meanwhile."""

from __future__ import annotations

import asyncio
import csv
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.http import Reply, post
from tests.support.processes import call, start_mock, start_server
from tests.support.shell import Shell


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("leak")
    mock = start_mock(folder / "mock")
    server = start_server(folder / "server", mock.url)
    yield Shell(server)
    assert server.stop() == 0
    mock.stop()


def ask(shell: Shell, key: str, model: str = "gpt-4o-mini") -> Reply:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    return asyncio.run(post(shell.server.url, "/v1/chat/completions", key, body))


def issued(shell: Shell, member: str, *options: str) -> dict[str, Any]:
    return dict(shell.json("key", "create", "--member", member, *options))


def test_a_leaked_key_is_found_closed_and_replaced(shell: Shell, tmp_path: Path) -> None:
    """K1, K3, K21: the drill, from a pasted file to a file of new secrets."""
    shell.run("group", "create", "drill", "--each", "$1/month", "--self-rotate")
    shell.run("member", "create", "4711", "4712", "--group", "drill")
    leaked = issued(shell, "drill/4711", "--tags", "ci")
    other = issued(shell, "drill/4712", "--tags", "ci")
    assert ask(shell, leaked["key"]).status == 200

    pasted = f'client = OpenAI(api_key="{leaked["key"]}")\nOLD = "{leaked["key"][:-1]}_"\n'
    found = shell.run("key", "find", "-", stdin=pasted)
    assert "drill/4711" in found.stdout
    assert "opens now" in found.stdout
    assert leaked["key"] not in found.stdout + found.stderr

    keys = tmp_path / "keys.csv"
    shell.run("key", "rotate", "--group", "drill", "--tag", "ci", "--yes", "--out", str(keys))
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    with keys.open(newline="") as file:
        new = {row["member"]: row["key"] for row in csv.DictReader(file)}
    assert [ask(shell, old["key"]).code for old in (leaked, other)] == ["invalid_api_key"] * 2
    assert [ask(shell, new[f"drill/{who}"]).status for who in ("4711", "4712")] == [200, 200]

    status, mine = call("POST", f"{shell.server.url}/api/v1/me/rotate", token=new["drill/4711"])
    assert status == 200
    assert set(mine) == {"id", "key", "last4"}
    assert ask(shell, new["drill/4711"]).status == 401
    assert ask(shell, mine["key"]).status == 200


def test_several_keys_of_a_member_each_with_its_own_policy(shell: Shell) -> None:
    """K6, K19: a key narrows its member, in whatever it says, and never widens."""
    models = ("--models", "gpt-4o-mini", "--models", "text-embedding-3-small")
    shell.run("group", "create", "several", "--each", "4 requests/day", *models)
    shell.run("member", "create", "4711", "--group", "several")
    wide = issued(
        shell, "several/4711", "--models", "*", "--limits", "$100/month", "--endpoints", "*"
    )["key"]
    narrow = issued(shell, "several/4711", "--models", "text-embedding-*")["key"]
    once = issued(shell, "several/4711", "--limits", "1 request/day")["key"]
    late = issued(shell, "several/4711", "--expires-at", "2026-01-01")["key"]

    assert ask(shell, wide, "gpt-4o").code == "model_not_allowed"
    assert ask(shell, narrow).code == "model_not_allowed"
    assert ask(shell, late).code == "key_expired"
    assert [ask(shell, once).status for _ in range(2)] == [200, 429]
    assert [ask(shell, wide).status for _ in range(4)] == [200, 200, 200, 429]


def test_archived_keys_are_dead_at_once_and_their_records_stay(shell: Shell) -> None:
    """K3, M14."""
    shell.run("group", "create", "ending", "--each", "2 requests/day")
    shell.run("member", "create", "4711", "--group", "ending")
    key = issued(shell, "ending/4711")
    assert ask(shell, key["key"]).status == 200

    shell.run("key", "archive", "--group", "ending", "--yes")

    assert ask(shell, key["key"]).code == "key_archived"
    assert [row["key"] for row in shell.json("log", "--key", key["id"])["data"]][-1] == key["id"]
    fresh = issued(shell, "ending/4711")["key"]
    assert [ask(shell, fresh).status for _ in range(2)] == [200, 429]
