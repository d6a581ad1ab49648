"""Commands over many keys, and the one that tells whose a key is."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import KEY, FakeServer, page

SECRET = "sk-tuck-" + "a" * 40


def report(*rows: dict[str, Any], dry_run: bool = True) -> dict[str, Any]:
    return {"action": "pause", "dry_run": dry_run, "matched": len(rows), "data": list(rows)}


def row(number: int, result: str = "done", **more: Any) -> dict[str, Any]:
    return {"id": f"key_{number}", "member": "mem_1", "result": result, "reason": None} | more


def test_a_filter_counts_first_and_then_does_it_to_just_those(run: Run, server: FakeServer) -> None:
    server.will_answer(report(row(1), row(2), row(3, "unchanged")))
    server.will_answer(report(row(1), row(2, "skipped", reason="is revoked, which is for good")))

    result = run(
        *("key", "pause", "--group", "swa", "--tag", "ci", "--tag", "old"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.output
    assert [asked.target for asked in server.asked] == ["/api/v1/keys/bulk"] * 2
    assert server.asked[0].body == {
        "action": "pause",
        "filter": {"group": "swa", "tags": ["ci", "old"]},
        "all": False,
        "dry_run": True,
    }
    assert server.asked[1].body == {"action": "pause", "filter": {"keys": ["key_1", "key_2"]}}
    assert result.stdout == (
        "1 paused, 1 is so already, 1 skipped (is revoked, which is for good)\n"
    )


def test_a_dry_run_asks_once(run: Run, server: FakeServer) -> None:
    server.will_answer(report(row(1)))

    result = run("key", "revoke", "--all", "--dry-run", "--json", environment=server.environment())

    assert len(server.asked) == 1
    assert server.asked[0].body["all"] is True
    assert json.loads(result.stdout)["done"] == 1


@pytest.mark.parametrize("verb", ["revoke", "archive", "rotate"])
def test_what_cannot_be_undone_has_to_be_said_twice(
    run: Run, server: FakeServer, verb: str
) -> None:
    server.will_answer(report(row(1)))

    result = run("key", verb, "--group", "swa", environment=server.environment())

    assert result.exit_code == 1
    assert "which cannot be undone. Say --yes." in result.stderr
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("key", "pause"),
        ("key", "pause", "key_1", "--group", "swa"),
        ("key", "pause", "--all", "--group", "swa"),
        ("member", "pause"),
        ("member", "archive", "mem_1", "--all"),
    ],
)
def test_names_or_a_filter_or_all_of_it(
    run: Run, server: FakeServer, arguments: tuple[str, ...]
) -> None:
    assert run(*arguments, environment=server.environment()).exit_code == 2
    assert not server.asked


def test_many_new_secrets_go_into_a_file_of_their_own(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    """K1."""
    server.will_answer(report(row(1)))
    server.will_answer(report(row(1, key=SECRET), dry_run=False))
    server.will_answer(page())
    server.will_answer({"id": "mem_1", "group": "grp_1", "external_id": "4711"})
    command = ("key", "rotate", "--group", "swa", "--yes", "--out", "keys.csv")

    result = run(*command, environment=server.environment())
    again = run(*command, environment=server.environment())

    assert result.exit_code == 0, result.output
    assert SECRET not in result.output
    path = tmp_path / "keys.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="") as file:
        (slip,) = csv.DictReader(file)
    assert (slip["member"], slip["key"]) == ("grp_1/4711", SECRET)
    assert "is there already" in again.stderr


def test_a_key_is_found_by_what_comes_from_standard_input(run: Run, server: FakeServer) -> None:
    """K1: never an argument."""
    owner = {
        **{"group": "swa", "member": "mem_1", "external_id": "4711", "name": "Ada", "email": None},
        **{"state": "active", "spent_usd": 0.013},
    }
    found = {"seen": "sk-tuck-…wxyz", "verdict": "current", "opens": True, "opens_until": None}
    server.will_answer({"data": [{**found, "owner": owner, "key": KEY}]})

    result = run("key", "find", "-", stdin=f"x = {SECRET!r}", environment=server.environment())
    refused = run("key", "find", SECRET, environment=server.environment())

    assert server.asked[0].body == {"text": f"x = {SECRET!r}"}
    assert "swa/4711" in result.stdout
    assert "$0.013" in result.stdout
    assert "tuckshop key rotate key_1" in result.stderr
    assert refused.exit_code == 2
    assert len(server.asked) == 1


def test_a_key_that_is_of_nobody_here_is_told_and_fails(run: Run, server: FakeServer) -> None:
    nothing = {"opens": False, "opens_until": None, "owner": None, "key": None}
    server.will_answer({"data": [{"seen": "sk-tuck-…wxyz", "verdict": "mistyped", **nothing}]})

    result = run("key", "find", "-", stdin=SECRET, environment=server.environment())

    assert result.exit_code == 1
    assert "its checksum is wrong" in result.stdout
