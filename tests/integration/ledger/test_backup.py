"""D8, P10: a backup is whole, private and marked; a restored ledger serves only after its gap is acknowledged."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.backup_kit import back_up
from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Desk, hold, serving, settlement
from tuckshop.domain.errors import StoreError
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger.backup import examine
from tuckshop.ledger.restore import acknowledge_gap, restore
from tuckshop.ledger.verify import verify_folder
from tuckshop.storage.database import prepare
from tuckshop.system_clock import SystemClock

USED = Amounts(cost_nano=5_000, input_tokens=100, output_tokens=10)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def desk(tmp_path: Path, clock: FakeClock) -> Desk:
    """A ledger in use: one call settled, one running."""
    desk = Desk(tmp_path / "data", clock)
    desk.do(hold("$1/month", request_id="req_done"), hold("$1/month", request_id="req_open"))
    desk.do(settlement("req_done", USED))
    clock.advance(1)
    return desk


def ledger_of(folder: Path) -> Path:
    return folder / "tuckshop.db"


def ids_in(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {id_ for (id_,) in connection.execute("SELECT id FROM requests")}


def test_a_backup_is_made_while_the_ledger_is_written(
    desk: Desk, tmp_path: Path, clock: FakeClock
) -> None:
    target = tmp_path / "b.db"

    made, report = back_up(ledger_of(desk.folder), target, clock)
    desk.do(hold("$1/month", request_id="req_later"))

    assert report.differences == []
    assert report.requests == 2
    assert made.made_at_us == clock.now_us()
    assert ids_in(target) == {"req_done", "req_open"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.db", "data"]
    assert examine(target).epoch == desk.database.epoch


def test_a_backup_sees_committed_batches_whole_or_not_at_all(
    desk: Desk, tmp_path: Path, clock: FakeClock
) -> None:
    """While a transaction is open, the copy is that of the moment before."""
    desk.session.begin(clock.now_us())
    desk.session.transaction.cursor.execute("UPDATE counters SET used = used + 1")

    _, report = back_up(ledger_of(desk.folder), tmp_path / "b.db", clock)
    desk.session.roll_back()

    assert report.differences == []


def test_backups_in_the_middle_of_traffic_are_each_one_instant(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A race: a writer's thread commits as fast as it can, and every copy adds up (M8)."""
    counts: list[int] = []

    async def main() -> None:
        async with serving(tmp_path / "data", SystemClock()) as (ledger, _, database):
            done = asyncio.Event()

            async def call_on() -> None:
                while not done.is_set():
                    granted = await ledger.reserve(
                        hold("$1/month", "4 concurrent requests", patience_s=9)
                    )
                    ledger.settle(settlement(granted.request_id, USED))

            callers = [asyncio.ensure_future(call_on()) for _ in range(8)]
            for number in range(5):
                target = tmp_path / f"{number}.db"
                _, report = await asyncio.to_thread(back_up, database.path, target, clock)
                assert [str(difference) for difference in report.differences] == []
                counts.append(report.requests)
            done.set()
            await asyncio.gather(*callers)

    asyncio.run(main())

    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


@pytest.mark.parametrize("kind", ["file", "dangling link", "folder"])
def test_a_backup_replaces_nothing(desk: Desk, tmp_path: Path, clock: FakeClock, kind: str) -> None:
    target = tmp_path / "b.db"
    if kind == "file":
        target.write_text("precious")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nowhere")

    with pytest.raises(StoreError, match="replaces nothing"):
        back_up(ledger_of(desk.folder), target, clock)

    assert kind != "file" or target.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_two_backups_to_one_name_leave_the_first(
    desk: Desk, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is taken between the look and the end."""
    target = tmp_path / "b.db"
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    target.write_text("the other's")

    with pytest.raises(StoreError, match="appeared"):
        back_up(ledger_of(desk.folder), target, clock)

    assert target.read_text() == "the other's"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.db", "data"]


def test_what_cannot_be_written_leaves_nothing(
    desk: Desk, tmp_path: Path, clock: FakeClock
) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        back_up(ledger_of(desk.folder), tmp_path / "no" / "b.db", clock)


def test_a_damaged_copy_never_gets_its_name(desk: Desk, tmp_path: Path, clock: FakeClock) -> None:
    desk.close()
    with closing(sqlite3.connect(ledger_of(desk.folder))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute("PRAGMA page_size").fetchone()[0]
    with ledger_of(desk.folder).open("r+b") as file:
        file.seek(6 * page)
        file.write(b"\xff" * page)

    with pytest.raises(StoreError):
        back_up(ledger_of(desk.folder), tmp_path / "b.db", clock)

    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_a_ledger_that_contradicts_itself_is_copied_and_told(
    desk: Desk, tmp_path: Path, clock: FakeClock
) -> None:
    desk.session.begin(clock.now_us())
    desk.session.transaction.cursor.execute("UPDATE counters SET used = used + 1")
    desk.session.commit()

    _, report = back_up(ledger_of(desk.folder), tmp_path / "b.db", clock)

    assert report.differences
    assert (tmp_path / "b.db").exists()


def test_a_restored_ledger_serves_only_after_its_gap_is_acknowledged(
    desk: Desk, tmp_path: Path, clock: FakeClock
) -> None:
    """D8."""
    back_up(ledger_of(desk.folder), tmp_path / "b.db", clock)
    made_at_us = clock.now_us()
    clock.advance(3_600)
    new = tmp_path / "new"

    restored = restore(tmp_path / "b.db", ledger_of(new), clock)

    assert restored.kept_aside is None
    assert restored.known_since is None
    assert restored.gap.since_us == made_at_us
    assert restored.gap.until_us == made_at_us + 3_600_000_000
    assert restored.gap.open_calls == 1
    for _ in range(2):
        with pytest.raises(StoreError, match="--acknowledge-gap"):
            prepare(new)

    gap = acknowledge_gap(ledger_of(new), clock)

    assert gap.since_us == made_at_us
    again = Desk(new, clock, boot=1)  # starts, and charges what was running its bound (R1)
    assert again.database.epoch == desk.database.epoch
    (flags,) = again.session.transaction.cursor.execute(
        "SELECT flags FROM requests WHERE id = 'req_open'"
    ).fetchone()
    assert flags == "unconfirmed"
    row = again.session.transaction.cursor.execute(
        "SELECT actor, action, object_id FROM audit ORDER BY number DESC LIMIT 1"
    ).fetchone()
    assert row == ("cli", "ledger.acknowledge_gap", again.database.epoch)
    again.close()
    assert verify_folder(new, full=True).differences == []
    with pytest.raises(StoreError, match="no gap"):
        acknowledge_gap(ledger_of(new), clock)


def test_a_backup_that_was_put_there_by_hand_is_refused_too(
    desk: Desk, tmp_path: Path, clock: FakeClock
) -> None:
    back_up(ledger_of(desk.folder), tmp_path / "b.db", clock)
    desk.close()
    for name in ("tuckshop.db-wal", "tuckshop.db-shm"):
        (desk.folder / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "b.db", ledger_of(desk.folder))

    with pytest.raises(StoreError, match="--acknowledge-gap"):
        prepare(desk.folder)


def test_the_old_ledger_is_kept_and_asked_what_it_knew(
    desk: Desk, tmp_path: Path, clock: FakeClock
) -> None:
    back_up(ledger_of(desk.folder), tmp_path / "b.db", clock)
    clock.advance(60)
    desk.do(hold("$1/month", request_id="req_lost"))
    desk.do(settlement("req_lost", USED), settlement("req_open", USED))
    desk.close()

    restored = restore(tmp_path / "b.db", ledger_of(desk.folder), clock)

    assert restored.kept_aside is not None
    assert restored.known_since is not None
    assert (restored.known_since.requests, restored.known_since.cost_nano) == (2, 10_000)
    assert ids_in(restored.kept_aside) == {"req_done", "req_open", "req_lost"}
    assert ids_in(ledger_of(desk.folder)) == {"req_done", "req_open"}


def test_a_fresh_install_may_take_a_backup(desk: Desk, tmp_path: Path, clock: FakeClock) -> None:
    """Its own, empty ledger has another epoch; it is kept aside."""
    back_up(ledger_of(desk.folder), tmp_path / "b.db", clock)
    fresh = prepare(tmp_path / "fresh")
    fresh.close()

    restored = restore(tmp_path / "b.db", ledger_of(tmp_path / "fresh"), clock)
    acknowledge_gap(ledger_of(tmp_path / "fresh"), clock)

    assert restored.known_since is None
    database = prepare(tmp_path / "fresh")
    database.close()
    assert database.epoch == desk.database.epoch != fresh.epoch


def test_nothing_is_restored_under_a_running_server(
    desk: Desk, tmp_path: Path, clock: FakeClock
) -> None:
    back_up(ledger_of(desk.folder), tmp_path / "b.db", clock)

    for act in (
        lambda: restore(tmp_path / "b.db", ledger_of(desk.folder), clock),
        lambda: acknowledge_gap(ledger_of(desk.folder), clock),
    ):
        with pytest.raises(StoreError, match="in use by another tuckshop"):
            act()
    assert desk.do(hold("$1/month"))[0].cap == 100


@pytest.mark.parametrize(
    "content", [b"", b"not a database" * 20, b"SQLite format 3\x00" + bytes(84)]
)
def test_what_is_no_ledger_is_not_restored(
    desk: Desk, tmp_path: Path, clock: FakeClock, content: bytes
) -> None:
    desk.close()
    (tmp_path / "b.db").write_bytes(content)

    with pytest.raises(StoreError):
        restore(tmp_path / "b.db", ledger_of(desk.folder), clock)

    assert ids_in(ledger_of(desk.folder)) == {"req_done", "req_open"}


@pytest.mark.parametrize("steps", range(6))
def test_a_crash_at_any_step_is_mended_by_the_same_command(
    desk: Desk,
    tmp_path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
) -> None:
    """A start in between either refuses or finds the old ledger as it was."""
    back_up(ledger_of(desk.folder), tmp_path / "b.db", clock)
    desk.do(hold("$1/month", request_id="req_lost"))
    desk.close()
    rename, done = Path.rename, [0]

    def rename_or_die(self: Path, target: Any) -> Path:
        if done[0] == steps:
            raise OSError("the power is gone")
        done[0] += 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_or_die)
    try:
        restore(tmp_path / "b.db", ledger_of(desk.folder), clock)
        crashed = False
    except StoreError:
        crashed = True
    monkeypatch.undo()

    try:
        prepare(desk.folder).close()
        assert crashed
        assert "req_lost" in ids_in(ledger_of(desk.folder))
    except StoreError:
        pass
    clock.advance(1)
    restore(tmp_path / "b.db", ledger_of(desk.folder), clock)
    acknowledge_gap(ledger_of(desk.folder), clock)
    prepare(desk.folder).close()
    assert ids_in(ledger_of(desk.folder)) == {"req_done", "req_open"}
    assert verify_folder(desk.folder, full=True).differences == []
