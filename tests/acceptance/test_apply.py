"""A course as a file: applied, applied again, changed, and written back, by the command beside a running server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import start_mock, start_server
from tests.support.shell import Shell

pytestmark = pytest.mark.long

PAGE = (Path(__file__).parents[2] / "docs/how-to/course-file.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("apply")
    mock = start_mock(folder / "mock")
    server = start_server(folder / "server", mock.url)
    yield Shell(server)
    assert server.stop() == 0
    mock.stop()


def _block(kind: str) -> str:
    """The first block of this kind on the page."""
    found = re.search(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def _below_comments(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def _read(shell: Shell, path: str) -> Any:
    status, answer = shell.server.admin("GET", path)
    assert status == 200, answer
    return answer


def _audit_rows(shell: Shell) -> int:
    return len(_read(shell, "/audit?limit=200")["data"])


def test_the_example_of_the_page(shell: Shell, tmp_path: Path) -> None:
    course = tmp_path / "course.toml"
    course.write_text(_block("toml"), encoding="utf-8")
    (tmp_path / "roster.csv").write_text(_block("csv"), encoding="utf-8")

    told = shell.run("apply", str(course), "--dry-run")
    assert told.stdout == _block("text")
    assert "differs from" in shell.run("apply", str(course), "--check", status=1).stderr
    assert not _read(shell, "/groups")["data"]

    done = shell.run("apply", str(course))
    assert re.search(
        r"^swa-2026: 3 members: at most \$2\.40 a month; renews 1 \w+.* Europe/Berlin$",
        done.stdout,
        re.MULTILINE,
    )
    assert "hackathon: 2 members: at most $2.00 in all" in done.stdout
    members = _read(shell, "/groups/hackathon/members")["data"]
    assert [(one["external_id"], one["state"]) for one in members] == [
        ("ada@example.org", "active"),
        ("bob@example.org", "paused"),
    ]

    rows = _audit_rows(shell)
    assert "Nothing to change." in shell.run("apply", str(course)).stdout
    assert _audit_rows(shell) == rows


def test_what_was_written_makes_the_same_elsewhere(
    shell: Shell, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """K13: names that a spreadsheet, a terminal or a course file could obey come back as they were."""
    made = shell.server.made
    made(
        "POST",
        "/groups",
        {"name": "odd", "title": 'a "b" \\ #', "each": ["$1/month"], "models": []},
    )
    people = [
        {"external_id": "=1+1", "name": "\u202eevil  name", "limits": ["$2/month"]},
        {"external_id": "4711", "name": "@sum;=x", "email": "ada@example.org"},
    ]
    added = made("POST", "/groups/odd/members", people)["data"]
    made("POST", f"/members/{added[1]['id']}/pause")
    made("PUT", "/groups/odd/notify", {"mails": ["ops@example.org"], "kinds": ["alarm", "flag"]})
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    roster, again = tmp_path / "r.csv", tmp_path_factory.mktemp("again") / "r.csv"
    shell.run("group", "export", "odd", "-o", str(first), "--roster", str(roster))
    assert first.stat().st_mode & 0o777 == 0o600
    assert "'=1+1" in roster.read_text()
    assert "\u202e" not in first.read_text()
    assert (
        "is there already" in shell.run("group", "export", "odd", "-o", str(first), status=1).stderr
    )
    whole = _below_comments(shell.run("group", "export", "odd").stdout)
    assert '[group.notify]\nmails = ["ops@example.org"]\nkinds = ["alarm", "flag"]\n' in whole
    unchanged = shell.run("apply", str(first)).stdout
    assert unchanged.endswith("Nothing to change.\n")

    server = start_server(again.parent / "server", shell.server.url)
    other = Shell(server)
    told = other.run("apply", str(first)).stdout
    assert "\u202e" not in told
    other.run("group", "export", "odd", "-o", str(second), "--roster", str(again))

    assert _below_comments(second.read_text()) == _below_comments(first.read_text()).replace(
        'roster = "r.csv"', f'roster = "{Path("..", again.parent.name, "r.csv")}"'
    )
    assert again.read_bytes() == roster.read_bytes()
    assert _below_comments(other.run("group", "export", "odd").stdout) == whole
    assert server.stop() == 0


def test_only_what_the_file_says_is_changed_and_who_is_not_in_it_is_told(
    shell: Shell, tmp_path: Path
) -> None:
    made = shell.server.made
    made("POST", "/groups", {"name": "old", "each": ["$1/month"], "max_output_tokens": 500})
    made("POST", "/groups/old/members", [{"external_id": "1"}, {"external_id": "2"}])
    course = tmp_path / "c.toml"
    course.write_text(
        '[[group]]\nname = "old"\nshared = ["$9 total"]\nmember = [{external_id = "1"}]\n'
    )

    told = shell.run("apply", str(course))

    assert "max_output_tokens = 500  (not in the file: stays)" in told.stdout
    assert "2    (not in the file: stays active)" in told.stdout
    assert "--pause-missing" in told.stderr
    group = _read(shell, "/groups/old")
    assert (group["each"], group["shared"], group["max_output_tokens"]) == (
        ["$1/month"],
        ["$9 total"],
        500,
    )
    plan = shell.json("apply", str(course), "--pause-missing")
    assert _read(shell, "/members?external_id=2")["data"][0]["state"] == "paused"
    assert plan["differs"]
    assert plan["groups"][0]["worst_case"]["members"] == 2

    course.write_text('[[group]]\nname = "old"\nunset = ["max_output_tokens"]\n')
    shell.run("apply", str(course))
    assert _read(shell, "/groups/old")["max_output_tokens"] is None


def test_a_respelled_id_stops_before_anything_is_changed(shell: Shell, tmp_path: Path) -> None:
    """M14."""
    shell.server.made("POST", "/groups", {"name": "zeros", "each": ["$1/month"]})
    shell.server.made("POST", "/groups/zeros/members", {"external_id": "0042"})
    course = tmp_path / "c.toml"
    course.write_text(
        '[[group]]\nname = "zeros"\neach = ["$2/month"]\nmember = [{external_id = "42"}]\n'
    )

    asked = shell.run("apply", str(course), status=1)

    assert f"{course}:4:12 has '42' where '0042' is known" in asked.stderr
    assert _read(shell, "/groups/zeros")["each"] == ["$1/month"]
    assert "? ids differ" in shell.run("apply", str(course), "--dry-run").stdout
    shell.run("apply", str(course), "--as-new")
    assert len(_read(shell, "/groups/zeros/members")["data"]) == 2


def test_an_archived_group_or_member_comes_back_as_told(shell: Shell, tmp_path: Path) -> None:
    made = shell.server.made
    made("POST", "/groups", {"name": "gone", "each": ["$1/month"]})
    member = made("POST", "/groups/gone/members", {"external_id": "1"})["data"][0]
    made("DELETE", f"/members/{member['id']}")
    made("DELETE", "/groups/gone")
    course = tmp_path / "c.toml"
    text = '[[group]]\nname = "gone"\nmember = [{external_id = "1"}]\n'
    course.write_text(text)
    assert "is archived" in shell.run("apply", str(course), status=1).stderr

    course.write_text(text.replace("member", 'state = "active"\nmember'))
    assert "  ^ 1" in shell.run("apply", str(course)).stdout

    assert _read(shell, f"/members/{member['id']}")["state"] == "active"
    assert "Nothing to change." in shell.run("apply", str(course)).stdout
