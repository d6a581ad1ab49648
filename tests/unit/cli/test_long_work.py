"""How far a long import or backup is, for who watches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Desk, hold
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, MEMBER, TOKEN, FakeServer
from tuckshop.cli import roster, terminal
from tuckshop.cli.client import Client


def _group_of(members: int) -> dict[str, Any]:
    return {**GROUP, "worst_case": {**GROUP["worst_case"], "members": members}}


def _preview(new: int, unchanged: int) -> dict[str, Any]:
    return {"rows": [{"action": "new"}] * new + [{"action": "unchanged"}] * unchanged}


def test_an_import_counts_who_is_in_already(server: FakeServer) -> None:
    server.will_answer(_group_of(7)).will_answer(_group_of(57)).will_answer(
        {"detail": "Busy."}, 503
    )

    told = roster._growth(Client(server.url, TOKEN), "swa", _preview(120, 5))

    assert told is not None
    assert told() == "50 of 120 are in"
    assert told() == "50 of 120 are in", "a look that fails tells what was seen before"


def test_where_nobody_is_new_only_seconds_are_told(server: FakeServer) -> None:
    assert roster._growth(Client(server.url, TOKEN), "swa", _preview(0, 5)) is None
    assert server.asked == []


def test_an_import_that_nobody_watches_is_one_call(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    file = tmp_path / "r.csv"
    file.write_text("id\n4711\n")
    server.will_answer(
        {"data": [MEMBER], "errors": [], "missing": [], "counts": {"new": 1}, "changed": []}, 201
    )

    result = run("member", "import", str(file), "--group", "swa", environment=server.environment())

    assert result.stdout == "1 member is in: 1 new.\n"
    assert [asked.method for asked in server.asked] == ["POST"]


def test_a_long_backup_tells_its_seconds(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path / "data", FakeClock())
    desk.one(hold("$1/month"))
    desk.close()
    monkeypatch.setattr(terminal, "is_watched", lambda: True)
    monkeypatch.setattr(terminal, "SHOWN_AFTER_S", 0.0001)

    result = run(
        "backup", str(tmp_path / "b.db"), environment={"TUCKSHOP_DATA": str(tmp_path / "data")}
    )

    assert result.exit_code == 0, result.stderr
    assert "Copying and verifying … 1 s" in result.stderr
