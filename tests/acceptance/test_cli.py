"""The commands against a running server, as people type them."""

from __future__ import annotations

import csv
import io
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import (
    ADMIN_TOKEN,
    COMMAND,
    Server,
    call,
    clean_environment,
    start_mock,
    start_server,
)
from tests.support.shell import Shell

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("cli")
    mock = start_mock(folder / "mock")
    server = start_server(folder, mock.url)
    try:
        yield Shell(server)
    finally:
        server.stop()
        mock.stop()


def _chat(server: Server, key: str, model: str = "gpt-4o-mini") -> tuple[int, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}]}
    return call("POST", f"{server.url}/v1/chat/completions", body, token=key)


def test_from_nothing_to_a_call_and_what_it_cost(shell: Shell) -> None:
    shell.run(
        *("group", "create", "swa", "--each", "$0.20/month", "--each", "35 requests/minute"),
        *("--shared", "$50/month", "--models", "gpt-4o-mini", "--time-zone", "Europe/Berlin"),
    )
    made = shell.json("member", "create", "4711", "4712", "--group", "swa", "--issue-keys")
    key = made["data"][0]["key"]

    status, _ = _chat(shell.server, key)
    refused, _ = _chat(shell.server, key, "gpt-4o")

    assert (status, refused) == (200, 403)
    shown = shell.json("member", "show", "swa/4711")
    money = next(one for one in shown["in_force"] if one["limit"] == "$0.20/month")
    assert money["used"] > 0
    assert money["reserved"] == 0
    rows = shell.json("log", "--member", "swa/4711")["data"]
    assert [row["status"] for row in rows] == ["refused", "settled"]
    assert rows[0]["error"] == "model_not_allowed"
    assert rows[1]["cost_usd"] == money["used"]
    assert shell.json("log", rows[1]["id"])["output_tokens"] > 0
    sums = shell.json("usage", "--by", "group,model", "--group", "swa")["data"]
    assert [row["requests"] for row in sums] == [1]
    assert sums[0]["cost_usd"] == money["used"]
    text = shell.run("member", "show", "swa/4711").stdout
    assert "$0.20/month" in text
    assert "used" in text
    assert "renews" in text


def test_every_verb_of_a_group(shell: Shell) -> None:
    shell.run("group", "create", "verbs", "--each", "$1/day")

    shell.run(
        "group", "edit", "verbs", "--title", "Verbs", "--models", "gpt-4o*", "--patience-s", "0"
    )
    assert shell.json("group", "pause", "verbs")["state"] == "paused"
    assert shell.json("group", "resume", "verbs")["state"] == "active"
    shell.run("group", "reset", "verbs", "--what", "shared", "--total")
    edited = shell.json("group", "edit", "verbs", "--unset", "models", "--empty", "endpoints")
    assert shell.json("group", "archive", "verbs")["state"] == "archived"

    assert (edited["title"], edited["models"], edited["endpoints"]) == ("Verbs", None, [])
    names = [one["name"] for one in shell.json("group", "list")["data"]]
    everything = [one["name"] for one in shell.json("group", "list", "--state", "all")["data"]]
    assert "verbs" not in names
    assert "verbs" in everything


def test_every_verb_of_a_member(shell: Shell) -> None:
    shell.run("group", "create", "people", "--each", "$1/day")
    shell.run("member", "create", "a/b@c.d", "--group", "people", "--name", "Ada")

    who = "people/a/b@c.d"
    edited = shell.json("member", "edit", who, "--limits", "$2/day", "--name", "Ada L.")
    assert shell.json("member", "pause", who)["state"] == "paused"
    assert shell.json("member", "resume", who)["state"] == "active"
    shell.run("member", "reset", who)
    assert shell.json("member", "archive", who)["state"] == "archived"

    assert (edited["name"], edited["limits"]) == ("Ada L.", ["$2/day"])
    assert shell.json("member", "list", "--group", "people")["data"] == []
    assert shell.json("member", "show", who)["external_id"] == "a/b@c.d"
    assert shell.json("member", "resume", who)["state"] == "active"
    assert "Ada L." in shell.run("member", "list", "--q", "Ada L").stdout


def test_every_verb_of_a_key(shell: Shell) -> None:
    shell.run("group", "create", "keys", "--each", "$1/day", "--models", "gpt-4o-mini")
    shell.run("member", "create", "1", "--group", "keys")

    secret = shell.run("key", "create", "--member", "keys/1", "--name", "laptop").stdout.strip()
    (listed,) = shell.json("key", "list", "--member", "keys/1")["data"]
    key = listed["id"]
    assert _chat(shell.server, secret)[0] == 200
    assert shell.json("key", "pause", key)["state"] == "paused"
    assert _chat(shell.server, secret)[0] == 403
    assert shell.json("key", "resume", key)["state"] == "active"
    edited = shell.json("key", "edit", key, "--tags", "ci", "--expires-at", "2099-12-31")
    shell.run("key", "reset", key)
    rotated = shell.run("key", "rotate", key, "--overlap", "1h").stdout.strip()
    assert _chat(shell.server, secret)[0] == 200
    assert _chat(shell.server, rotated)[0] == 200
    assert shell.json("key", "revoke", key)["state"] == "revoked"
    assert _chat(shell.server, rotated)[0] == 401
    assert shell.json("key", "archive", key)["state"] == "archived"

    assert listed["last4"] == secret[-4:]
    assert (edited["tags"], edited["expires_at"]) == (["ci"], "2100-01-01T00:00:00Z")
    assert shell.json("key", "list", "--group", "keys")["data"] == []
    assert shell.json("key", "show", key)["last_used_at"] is not None


def test_lists_go_into_files(shell: Shell) -> None:
    shell.run("group", "create", "files", "--each", "$1/day")
    shell.run("member", "create", "1", "--group", "files")
    key = shell.json("key", "create", "--member", "files/1")["key"]
    for _ in range(3):
        assert _chat(shell.server, key)[0] == 200

    log = shell.run("log", "--group", "files", "--csv").stdout
    usage = shell.run("usage", "--by", "model", "--group", "files", "--csv").stdout

    assert [row["status"] for row in csv.DictReader(io.StringIO(log))] == ["settled"] * 3
    (line,) = csv.DictReader(io.StringIO(usage))
    assert (line["model"], line["requests"]) == ("gpt-4o-mini", "3")
    assert "There is no group" in shell.run("log", "--group", "nosuch", "--csv", status=1).stderr


def test_the_audit_trail_is_read_and_checked(shell: Shell) -> None:
    """K16."""
    made = shell.json("group", "create", "audited")
    shell.run("group", "pause", "audited")

    rows = shell.json("audit", "--object", made["id"])["data"]
    assert [row["action"] for row in rows] == ["group.pause", "group.create"]
    assert "group.pause" in shell.run("audit", "--action", "group").stdout
    assert "number,at,actor,action" in shell.run("audit", "--csv").stdout
    assert "The trail is whole" in shell.run("audit", "verify").stdout
    with closing(sqlite3.connect(shell.server.data / "tuckshop.db")) as connection:
        number, after = connection.execute(
            "SELECT number, after FROM audit WHERE object_id = ? AND action = 'group.pause'",
            (made["id"],),
        ).fetchone()
        connection.execute("UPDATE audit SET after = '{}' WHERE number = ?", (number,))
        connection.commit()
        found_out = shell.run("audit", "verify", status=1)
        connection.execute("UPDATE audit SET after = ? WHERE number = ?", (after, number))
        connection.commit()

    assert f"Row {number} does not follow" in found_out.stderr


def test_a_refusal_is_status_1_and_says_why(shell: Shell) -> None:
    wrong = shell.run("group", "create", "bad", "--each", "bash.20/month", status=1)
    unknown = shell.run("group", "show", "nobody", status=1)
    euro = shell.run("group", "create", "euro", "--each", "€1/month", status=1)

    assert "each[0]" in wrong.stderr
    assert "single quotes" in wrong.stderr
    assert "nobody" in unknown.stderr
    assert "€" in euro.stderr
    assert wrong.stdout == unknown.stdout == ""


def test_a_row_that_fails_stops_no_other(shell: Shell) -> None:
    shell.run("group", "create", "rows", "--each", "$1/day")

    done = shell.run("member", "create", "good", " ", "--group", "rows", status=1)

    assert "good" in done.stdout
    assert "external_id" in done.stderr


def test_from_another_machine_by_address_and_token(shell: Shell, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(ADMIN_TOKEN)
    elsewhere = {"TUCKSHOP_DATA": str(tmp_path / "none"), "TUCKSHOP_URL": shell.server.url}
    right = elsewhere | {"TUCKSHOP_ADMIN_TOKEN_FILE": str(token)}
    other = elsewhere | {"TUCKSHOP_ADMIN_TOKEN": "wrong-token-0123456789"}

    shell.run("group", "list", environment=right)
    wrong = shell.run("group", "list", status=1, environment=other)

    assert "TUCKSHOP_ADMIN_TOKEN" in wrong.stderr


def test_verify_agrees_while_the_server_runs(shell: Shell) -> None:
    shell.run("verify")


def test_no_server_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(COMMAND), "group", "list"],
        env=clean_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "tuckshop serve" in done.stderr


def test_a_broken_pipe_is_no_stack_trace(shell: Shell) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [str(COMMAND), "config"],
            env=clean_environment(),
            cwd=shell.server.data.parent,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writer)

    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"TUCKSHOP_PROT": "8000"}, "did you mean"),
        ({"TUCKSHOP_PORT": "eighty"}, "TUCKSHOP_PORT"),
        ({"OPENAI_API_KEY": "sk-tuck-0123"}, "virtual key"),
        ({"TUCKSHOP_DATA": "/proc/nowhere"}, "/proc/nowhere"),
    ],
)
def test_serve_refuses_to_start_and_says_why(
    tmp_path: Path, environment: dict[str, str], told: str
) -> None:
    done = subprocess.run(
        [str(COMMAND), "serve"],
        env=clean_environment() | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
