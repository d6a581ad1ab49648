"""D1, D2: which folders and files a server starts on."""

from __future__ import annotations

import json
import logging
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from tuckshop.domain.errors import StoreError
from tuckshop.storage.data_folder import refuse_network_file_system
from tuckshop.storage.database import open_for_reading, prepare
from tuckshop.storage.sqlite import open_writer, set_pragmas


def make(folder: Path) -> Path:
    database = prepare(folder)
    database.close()
    return database.path


def test_a_new_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    path = make(tmp_path / "data")

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads((tmp_path / "data" / "tuckshop.json").read_text())["ledger"] == "tuckshop.db"


def test_a_ledger_is_found_again(tmp_path: Path) -> None:
    first = prepare(tmp_path)
    first.close()
    second = prepare(tmp_path)
    second.close()

    assert second.epoch == first.epoch


def test_a_ledger_that_was_never_finished_is_made_anew(tmp_path: Path) -> None:
    """A kill while the first start makes the file leaves a draft, and nothing of value."""
    (tmp_path / "tuckshop.db.new").write_bytes(b"half a")

    make(tmp_path)

    assert not (tmp_path / "tuckshop.db.new").exists()
    make(tmp_path)


def test_a_ledger_may_lie_elsewhere(tmp_path: Path) -> None:
    database = prepare(tmp_path / "data", database=tmp_path / "fast" / "ledger.db")
    database.close()

    assert (tmp_path / "fast" / "ledger.db").exists()
    assert (tmp_path / "fast" / "tuckshop.json").exists()


def test_a_second_process_is_refused_with_folder_and_pid(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from tuckshop.storage.database import prepare\n"
        f"d = prepare(Path({str(tmp_path)!r})); print(os.getpid(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        pid = other.stdout.readline().strip()
        try:
            with pytest.raises(StoreError) as refused:
                prepare(tmp_path)
        finally:
            other.stdin.close()

    assert str(tmp_path) in str(refused.value)
    assert pid in str(refused.value)
    prepare(tmp_path).close()  # the lock went with its owner


def test_a_missing_ledger_is_not_made_anew(tmp_path: Path) -> None:
    make(tmp_path).unlink()

    with pytest.raises(StoreError, match=r"tuckshop\.db is missing"):
        prepare(tmp_path)

    assert not (tmp_path / "tuckshop.db").exists()


def test_a_ledger_of_which_only_the_log_is_left_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "tuckshop.db-wal").write_bytes(b"x" * 100)

    with pytest.raises(StoreError, match="missing"):
        prepare(tmp_path)


@pytest.mark.parametrize("size", [0, 50, 4096, 20_000])
def test_a_truncated_ledger_is_refused(tmp_path: Path, size: int) -> None:
    path = make(tmp_path)
    with path.open("r+b") as file:
        file.truncate(size)

    with pytest.raises(StoreError, match="restore a backup"):
        prepare(tmp_path)


def test_a_damaged_ledger_is_refused_after_an_unclean_stop(tmp_path: Path) -> None:
    path = make(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE settings SET value = '0' WHERE name = 'clean_stop'")
    connection.close()
    root = _root_page_of(path, "requests")
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)

    with pytest.raises(StoreError, match="damaged"):
        prepare(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tuckshop.db").write_bytes(b"just text " * 100)

    with pytest.raises(StoreError, match="not an SQLite database"):
        prepare(tmp_path)


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "tuckshop.db")
    connection.execute("CREATE TABLE settings (name, value)")
    connection.close()

    with pytest.raises(StoreError, match="another program"):
        prepare(tmp_path)


def test_another_ledger_in_its_place_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "ours")
    make(tmp_path / "theirs").replace(path)

    with pytest.raises(StoreError, match="epoch"):
        prepare(tmp_path / "ours")


def test_a_marker_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "tuckshop.json").write_text("{")

    with pytest.raises(StoreError, match=r"tuckshop\.json"):
        prepare(tmp_path)


def test_a_ledger_that_came_alone_gets_its_marker(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "tuckshop.json").unlink()

    make(tmp_path)

    assert (tmp_path / "tuckshop.json").exists()


def test_a_ledger_of_the_future_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = make(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(StoreError, match="newer than this program"):
        prepare(tmp_path)
    with pytest.raises(StoreError, match="9999"):
        open_for_reading(tmp_path)

    assert [p.name for p in tmp_path.glob("*.before-*")] == []


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(StoreError, match="cannot be made"):
        prepare(tmp_path / "data")


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(StoreError, match=r"cannot be (made|written)"):
        prepare(Path("/proc/self"))


def test_an_old_sqlite_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuckshop.storage.database.is_safe_version", lambda: False)

    with caplog.at_level(logging.WARNING):
        make(tmp_path)

    assert "3.51.3" in caplog.text


@pytest.mark.parametrize(
    ("kind", "is_refused"), [("nfs4", True), ("cifs", True), ("ext4", False), ("overlay", False)]
)
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str, is_refused: bool) -> None:
    folder = tmp_path / "class of 2026" / "data"
    mounts = tmp_path / "mounts"
    point = str(folder.parent).replace(" ", "\\040")
    mounts.write_text(
        f"disk / ext4 rw 0 0\nserver:/x {point} {kind} rw 0 0\ntmp {tmp_path}/other nfs rw 0 0\n"
    )

    if is_refused:
        with pytest.raises(StoreError, match="network file system"):
            refuse_network_file_system(folder, mounts)
    else:
        refuse_network_file_system(folder, mounts)


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("process", 1)])
def test_settings_are_read_back(
    tmp_path: Path, durability: Literal["full", "process"], synchronous: int
) -> None:
    make(tmp_path)
    connection = open_writer(tmp_path / "tuckshop.db", durability)

    found = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
    }
    connection.close()

    assert found == {
        "journal_mode": "wal",
        "synchronous": synchronous,
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
    }


def test_a_setting_that_does_not_take_stops_the_start(tmp_path: Path) -> None:
    """SQLite ignores what it does not know; this path has no write-ahead log, for one."""
    make(tmp_path)
    connection = sqlite3.connect(":memory:")
    with pytest.raises(StoreError, match="journal_mode"):
        set_pragmas(connection, {"journal_mode": "wal"})
    with pytest.raises(StoreError, match="no_such_pragma"):
        set_pragmas(connection, {"no_such_pragma": 1})
    connection.close()


def test_a_ledger_can_be_read_while_it_is_served(tmp_path: Path) -> None:
    database = prepare(tmp_path)
    try:
        reading = open_for_reading(tmp_path)
        assert reading.execute("SELECT count(*) FROM requests").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError):
            reading.execute("DELETE FROM settings")
        reading.close()
    finally:
        database.close()


def test_nothing_to_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no ledger"):
        open_for_reading(tmp_path)

    assert list(tmp_path.iterdir()) == []


def _root_page_of(path: Path, table: str) -> int:
    connection = sqlite3.connect(path)
    try:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
        return int(root)
    finally:
        connection.close()
