"""A roster exported from a learning platform becomes a class with keys, by one command."""

from __future__ import annotations

import csv
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import call, start_mock, start_server
from tests.support.shell import Shell

ROSTER = (
    "Vorname;Nachname;Matrikelnummer;E-Mail-Adresse\r\n"
    "Ada;Lovelace;4711;ada@example.org\r\n"
    "Zoë;Müßig;4712;zoe@example.org\r\n"
    "=1+1;;4713;\r\n"
    ";Niemand;;\r\n"
)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("roster")
    mock = start_mock(folder / "mock")
    server = start_server(folder / "server", mock.url)
    yield Shell(server)
    assert server.stop() == 0
    mock.stop()


def test_a_class_from_a_file(shell: Shell, tmp_path: Path) -> None:
    roster, keys = tmp_path / "roster.csv", tmp_path / "keys.csv"
    roster.write_bytes(ROSTER.encode("cp1252"))
    shell.run("group", "create", "swa", "--each", "$0.20/month")

    told = shell.run("member", "import", str(roster), "--group", "swa", "--dry-run")
    assert "+     3  4712  Zoë Müßig" in told.stdout
    assert "line 5: external_id is empty" in told.stdout
    assert "3 new, 1 with problems" in told.stdout
    assert not list(shell.json("member", "list", "--group", "swa")["data"])

    done = shell.run(
        *("member", "import", str(roster), "--group", "swa", "--issue-keys", "--out", str(keys)),
        status=1,
    )
    assert "3 keys are in" in done.stdout
    assert "line 5: external_id is empty" in done.stderr
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    with keys.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["external_id"], row["name"]) for row in rows] == [
        ("4711", "Ada Lovelace"),
        ("4712", "Zoë Müßig"),
        ("4713", "'=1+1"),
    ]
    for row in rows:
        assert row["base_url"] == f"{shell.server.url}/v1"
        assert call("GET", f"{shell.server.url}/api/v1/me", token=row["key"])[0] == 200

    again = shell.run(
        *("member", "import", str(roster), "--group", "swa", "--issue-keys", "--out", str(keys)),
        status=1,
    )
    assert "is there already" in again.stderr
    back = shell.json("member", "list", "--group", "swa")["data"]
    assert [one["name"] for one in back] == ["Ada Lovelace", "Zoë Müßig", "=1+1"]


def test_a_respelled_id_stops_and_leaves_no_file(shell: Shell, tmp_path: Path) -> None:
    """M14."""
    shell.run("group", "create", "zeros")
    shell.run("member", "create", "0042", "--group", "zeros")
    roster, keys = tmp_path / "roster.csv", tmp_path / "keys.csv"
    roster.write_text("id,name\n42,Ada\n")
    command = ("member", "import", str(roster), "--group", "zeros")

    asked = shell.run(*command, "--issue-keys", "--out", str(keys), status=1)

    assert "'42' where '0042' is known" in asked.stderr
    assert not keys.exists()
    assert "? ids differ" in shell.run(*command, "--dry-run").stdout
    shell.run(*command, "--as-new")
    assert len(shell.json("member", "list", "--group", "zeros")["data"]) == 2


def test_leavers_are_told_and_paused_when_asked(shell: Shell, tmp_path: Path) -> None:
    shell.run("group", "create", "leavers")
    shell.run("member", "create", "1", "2", "--group", "leavers")
    roster = tmp_path / "roster.csv"
    roster.write_text("id\n1\n")
    command = ("member", "import", str(roster), "--group", "leavers")

    told = shell.run(*command)
    assert "- 2   (active)" in told.stdout
    assert "--pause-missing" in told.stderr
    paused = shell.run(*command, "--pause-missing")
    assert "- 2   (paused)" in paused.stdout


def test_wrong_use_is_told(shell: Shell, tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_bytes(b"PK\x03\x04")
    command = ("member", "import", str(roster), "--group", "swa")

    assert "workbook" in shell.run(*command, status=1).stderr
    assert "--issue-keys" in shell.run(*command, "--out", "x.csv", status=2).stderr
    assert "changes nothing" in shell.run(*command, "--dry-run", "--as-new", status=2).stderr
