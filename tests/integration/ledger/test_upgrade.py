"""D9: the ledger of the first version that had one is migrated at the start, agrees with its rows, and goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Desk, hold, in_force
from tuckshop.domain.reservation import Granted
from tuckshop.ledger.backup import back_up
from tuckshop.ledger.restore import acknowledge_gap, restore
from tuckshop.ledger.verify import verify_folder
from tuckshop.storage.sqlite import APPLICATION_ID

FIRST = Path(__file__).parents[2] / "data" / "first_ledger.sql"
LAST_US = 1_795_590_000_000_000  # of its last call


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The file of that ledger."""
    path = tmp_path / "old" / "tuckshop.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST.read_text(encoding="utf-8"))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    path.chmod(0o600)
    return path


def check(folder: Path) -> None:
    clock = FakeClock(LAST_US)
    desk = Desk(folder, clock, boot=1)  # migrates; settles what was open at its bound
    assert desk.state(in_force("$1/month")).used == 5_000 + 7_000 + 75_000
    assert isinstance(desk.one(hold("$1/month")), Granted)
    desk.close()
    for full in (True, False):
        assert [str(d) for d in verify_folder(folder, full=full).differences] == []


def test_a_start_takes_the_first_ledger_over(old: Path) -> None:
    check(old.parent)


def test_a_file_of_the_first_ledger_can_be_restored(old: Path, tmp_path: Path) -> None:
    """Such as the copy that a migration leaves: without a backup's mark, its own latest time is the gap's start."""
    clock = FakeClock(LAST_US)
    new = tmp_path / "new" / "tuckshop.db"

    restored = restore(old, new, clock)
    assert restored.gap.since_us == LAST_US
    acknowledge_gap(new, clock)

    check(new.parent)
    _, report = back_up(new, tmp_path / "b.db", clock)
    assert report.differences == []
