"""`key hand-out` of a large class: part by part, and what was handed out is kept where the way breaks."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, MEMBER, FakeServer, page

MANY = {**GROUP, "worst_case": {**GROUP["worst_case"], "members": 150}}
MEMBERS = [{**MEMBER, "id": f"mem_{n}"} for n in range(150)]


def made(numbers: range) -> dict[str, Any]:
    rows = [
        {
            "external_id": f"{n}", "name": None, "email": None, "key": f"sk-tuck-{n}", "expires_at": None,
            "action": "issued",
        }
        for n in numbers
    ]  # fmt: skip
    return {"data": rows, "left_out": 1, "course": "swa", "base_url": "https://t.example/v1"}


def test_a_large_class_is_served_in_parts(run: Run, server: FakeServer, tmp_path: Path) -> None:
    server.will_answer(MANY).will_answer(page(*MEMBERS))
    server.will_answer(made(range(100))).will_answer(made(range(100, 150)))
    out = tmp_path / "keys.csv"

    result = run(
        *("key", "hand-out", "--group", "swa", "--out", str(out)), environment=server.environment()
    )

    assert result.exit_code == 0, result.stderr
    parts = [asked.body["members"] for asked in server.asked if asked.method == "POST"]
    assert [len(part) for part in parts] == [100, 50]
    assert [one for part in parts for one in part] == [one["id"] for one in MEMBERS]
    with out.open(encoding="utf-8", newline="") as file:
        assert [row["key"] for row in csv.DictReader(file)] == [f"sk-tuck-{n}" for n in range(150)]
    assert "150 keys are in" in result.stdout
    assert "Left out: 2 members" in result.stderr


def test_what_was_handed_out_before_the_way_broke_is_kept(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    """K1: these keys open, and nobody could read them again."""
    server.will_answer(MANY).will_answer(page(*MEMBERS))
    server.will_answer(made(range(100))).will_answer({"detail": "Busy."}, 503)
    out = tmp_path / "keys.csv"

    result = run(
        *("key", "hand-out", "--group", "swa", "--out", str(out)), environment=server.environment()
    )

    assert result.exit_code == 1
    assert "Busy." in result.stderr
    assert "do it again" in result.stderr
    with out.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 100


def test_a_small_class_is_one_call(run: Run, server: FakeServer) -> None:
    few = {**GROUP, "worst_case": {**GROUP["worst_case"], "members": 2}}
    server.will_answer(few).will_answer(made(range(1)))

    result = run("key", "hand-out", "--group", "swa", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert [asked.body for asked in server.asked if asked.method == "POST"] == [{}]
