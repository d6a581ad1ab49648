"""D9: the ledger of the first version that had one is migrated at the start, agrees with its rows, and goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.backup_kit import back_up
from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Desk, hold, in_force
from tuckshop.domain.reservation import Granted
from tuckshop.ledger.restore import acknowledge_gap, restore
from tuckshop.ledger.verify import verify_folder
from tuckshop.storage.database import prepare
from tuckshop.storage.migrations import upgrade
from tuckshop.storage.sqlite import APPLICATION_ID, WriterConnection

FIRST = Path(__file__).parents[2] / "data" / "first_ledger.sql"
SURVIVED, DIED = 0, 9
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


def migrate_until(folder: Path, last: int) -> int:
    """In a process of its own: migrate, and end like a power cut before statement number *last* of it."""
    child = os.fork()
    if child == 0:
        seen = 0
        to_head = upgrade.to_head

        def traced(driver: WriterConnection) -> None:
            driver.set_trace_callback(count)
            to_head(driver)

        def count(statement: str) -> None:
            nonlocal seen
            seen += 1
            if seen == last:
                os._exit(DIED)

        upgrade.to_head = traced
        try:
            prepare(folder).close()
        except BaseException:  # noqa: BLE001 - the child must not go on as the test
            os._exit(1)
        os._exit(SURVIVED)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def test_a_start_that_dies_while_it_migrates_is_made_good_by_the_next(
    old: Path, tmp_path: Path
) -> None:
    last = 0
    while True:
        last += 1
        folder = tmp_path / f"at{last}"
        shutil.copytree(old.parent, folder)
        status = migrate_until(folder, last)
        assert status in (DIED, SURVIVED)

        check(folder)

        if status == SURVIVED:
            break
    assert last > 3, "a migration of several statements"
