"""P10, P4, D8: a restore checks everything first, writes over nothing, and tells what cannot be read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.backup_kit import (
    BODIES_MAX_BYTES,
    CREDENTIAL,
    SAID,
    SIGNING,
    DataFolder,
    bodies_in,
    sealed_in,
)
from tests.support.fake_clock import FakeClock
from tests.support.killed_backup import PASSPHRASE
from tuckshop.backups.making import Wish, make
from tuckshop.backups.restoring import Where, Whole, restore
from tuckshop.domain.errors import StoreError
from tuckshop.folder_files import CREDENTIALS, derived, kept_secret, master_secret
from tuckshop.storage.erasures import ErasureList
from tuckshop.storage.person_keys import PERSON_KEYS, PersonKeys
from tuckshop.storage.sealing import Sealer, credential_place, webhook_place

ALL = Wish(person_keys=True, passphrase=PASSPHRASE)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def old(tmp_path: Path, clock: FakeClock) -> DataFolder:
    return DataFolder(tmp_path / "old", clock)


@pytest.fixture
def file(old: DataFolder, tmp_path: Path, clock: FakeClock) -> Path:
    """A backup with everything."""
    (tmp_path / "out").mkdir()
    make(old.folder, old.ledger, tmp_path / "out" / "b.db", clock, ALL)
    return tmp_path / "out" / "b.db"


def at(folder: Path) -> Where:
    return Where(data=folder, ledger=folder / "tuckshop.db", bodies_max_bytes=BODIES_MAX_BYTES)


def put(
    file: Path, folder: Path, clock: FakeClock, *, passphrase: str | None = PASSPHRASE
) -> Whole:
    return restore(file, at(folder), clock, passphrase=passphrase)


def contents(folder: Path) -> dict[str, bytes]:
    """All that lies there, but for the lock and SQLite's own."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if not path.name.endswith((".lock", "-shm", "-wal"))
    }


def said(folder: Path, member: str, number: int = 1) -> bytes:
    """What is kept of a member's call, in clear."""
    master = kept_secret(folder)
    assert master is not None
    keys = PersonKeys.open_beside(folder / "tuckshop.db", derived(master, PERSON_KEYS))
    request = f"req_{member}_{number}"
    try:
        return keys.open(member, bodies_in(folder / "bodies.db")[request], place=request)
    finally:
        keys.close()


def test_all_of_it_comes_back_on_an_empty_machine(
    old: DataFolder, file: Path, tmp_path: Path, clock: FakeClock
) -> None:
    new = tmp_path / "new"

    whole = put(file, new, clock)

    assert (whole.bodies, whole.person_keys, whole.credentials) == (2, 2, True)
    assert (whole.bodies_here, whole.bodies_dark) == (2, 0)
    assert (whole.ledger.is_verified, whole.ledger.upstreams, whole.ledger.webhooks) == (
        True,
        [],
        [],
    )
    assert said(new, "mem_a") == said(new, "mem_b") == SAID
    assert kept_secret(new) == old.master
    sealer = Sealer(derived(old.master, CREDENTIALS))
    (upstream,), (webhook,) = (
        sealed_in(new / "tuckshop.db", "upstreams"),
        sealed_in(new / "tuckshop.db", "webhooks"),
    )
    assert upstream is not None
    assert webhook is not None
    assert sealer.open(upstream, place=credential_place("wsp_default", "ups_2")) == CREDENTIAL
    assert sealer.open(webhook, place=webhook_place("wsp_default", "hok_1")) == SIGNING
    for path in new.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    # Again: nothing is added twice, and the ledger of before is beside it.
    again = put(file, new, clock)
    assert (again.bodies, again.person_keys) == (0, 0)
    assert again.ledger.kept_aside is not None


def test_without_the_keys_of_persons_bodies_stay_dark_and_that_is_told(
    old: DataFolder, tmp_path: Path, clock: FakeClock
) -> None:
    make(old.folder, old.ledger, tmp_path / "b.db", clock)
    new = tmp_path / "new"

    whole = put(tmp_path / "b.db", new, clock, passphrase=None)

    assert (whole.bodies, whole.person_keys) == (2, None)
    assert (whole.bodies_here, whole.bodies_dark) == (2, 2)
    assert (whole.ledger.upstreams, whole.ledger.webhooks) == (["second"], ["hok_1"])
    assert kept_secret(new) is None


def test_a_key_that_was_destroyed_stays_so(old: DataFolder, file: Path, clock: FakeClock) -> None:
    """P4: somebody was erased after the copy of the keys was made."""
    keys = old.keys()
    keys.destroy(["mem_a"])
    keys.close()
    old.keep(["mem_b"], number=2)
    old.desk.close()

    whole = put(file, old.folder, clock, passphrase=None)

    assert (whole.bodies, whole.person_keys) == (0, 0)
    assert (whole.bodies_here, whole.bodies_dark) == (3, 1)
    assert said(old.folder, "mem_b", 2) == SAID
    with pytest.raises(StoreError, match="destroyed"):
        said(old.folder, "mem_a")


def test_another_ledger_that_is_in_use_is_left_alone(
    file: Path, tmp_path: Path, clock: FakeClock
) -> None:
    other = DataFolder(tmp_path / "other", clock)
    other.desk.close()
    before = contents(other.folder)

    with pytest.raises(StoreError, match="another ledger, with groups of its own"):
        put(file, other.folder, clock)

    assert contents(other.folder) == before


def test_another_secret_key_is_never_replaced(file: Path, tmp_path: Path, clock: FakeClock) -> None:
    new = tmp_path / "new"
    new.mkdir()
    master_secret(new)
    before = contents(new)

    with pytest.raises(StoreError, match="another than the backup's"):
        put(file, new, clock)
    with pytest.raises(StoreError, match="another secret-key"):  # the keys would not open
        put(file, new, clock, passphrase=None)

    assert contents(new) == before


def test_a_wrong_passphrase_and_the_credentials_of_another_backup_open_nothing(
    old: DataFolder, file: Path, tmp_path: Path, clock: FakeClock
) -> None:
    with pytest.raises(StoreError, match="does not open"):
        put(file, tmp_path / "new", clock, passphrase="another passphrase")
    clock.advance(5)
    make(old.folder, old.ledger, tmp_path / "c.db", clock)
    (file.parent / "b.db.credentials").rename(tmp_path / "c.db.credentials")
    with pytest.raises(StoreError, match="belongs to another backup"):
        put(tmp_path / "c.db", tmp_path / "new", clock)

    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("part", ["", ".bodies", ".person-keys", ".credentials"])
@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_damaged_part_is_found_before_anything_is_changed(
    file: Path, tmp_path: Path, clock: FakeClock, part: str, damage: str
) -> None:
    path = file.with_name(file.name + part)
    content = path.read_bytes()
    path.write_bytes(
        content[: len(content) // 2] if damage == "cut" else b"SQLite format 3\0" * 600
    )
    new = tmp_path / "new"
    new.mkdir()

    with pytest.raises(StoreError):
        put(file, new, clock)

    assert contents(new) == {}


def test_a_ledger_that_contradicts_itself_has_to_be_wanted(
    old: DataFolder, tmp_path: Path, clock: FakeClock
) -> None:
    """M8: a backup of it is kept, and told; it comes back only when somebody says so."""
    old.desk.session.begin(clock.now_us())
    old.desk.session.transaction.cursor.execute("UPDATE counters SET used = used + 1")
    old.desk.session.commit()
    make(old.folder, old.ledger, tmp_path / "b.db", clock)
    new = tmp_path / "new"
    new.mkdir()

    with pytest.raises(StoreError, match="--despite-differences"):
        put(tmp_path / "b.db", new, clock, passphrase=None)
    assert contents(new) == {}
    whole = restore(tmp_path / "b.db", at(new), clock, despite_differences=True)

    assert whole.ledger.differences


def test_bodies_that_do_not_fit_stop_it_before_the_ledger_is_touched(
    old: DataFolder, file: Path, tmp_path: Path, clock: FakeClock
) -> None:
    with closing(sqlite3.connect(file.with_name("b.db.bodies"))) as connection:
        connection.execute("UPDATE bodies SET sealed = zeroblob(200000)")
        connection.commit()
    old.desk.close()
    (old.folder / "bodies.db").unlink()
    ledger = old.ledger.read_bytes()

    with pytest.raises(StoreError, match="does not take in"):
        restore(file, replace(at(old.folder), bodies_max_bytes=100_000), clock)

    assert old.ledger.read_bytes() == ledger
    assert put(file, old.folder, clock, passphrase=None).bodies == 2


def test_a_copy_of_keys_that_is_too_old_is_told(
    file: Path, tmp_path: Path, clock: FakeClock
) -> None:
    clock.advance(29 * 86_400)
    assert not put(file, tmp_path / "new", clock).person_keys_too_old
    clock.advance(2 * 86_400)
    assert put(file, tmp_path / "new", clock).person_keys_too_old


def test_who_was_erased_since_is_on_the_list_that_a_start_obeys(
    old: DataFolder, tmp_path: Path, clock: FakeClock
) -> None:
    """P4: the folder's own list, that of the backup and a newer one become one; no line is lost or doubled."""
    theirs = ErasureList.beside(old.ledger)
    theirs.begin(["mem_x"], 1, has_ended=False)
    theirs.done(["mem_x"])
    make(old.folder, old.ledger, tmp_path / "b.db", clock)
    theirs.begin(["mem_a"], 2, has_ended=True)
    make(old.folder, old.ledger, tmp_path / "newer.db", clock)
    new = tmp_path / "new"
    new.mkdir()
    mine = ErasureList.beside(new / "tuckshop.db")
    mine.begin(["mem_y"], 3, has_ended=False)

    for _ in range(2):
        whole = restore(
            tmp_path / "b.db", at(new), clock, erasures=[tmp_path / "newer.db.erasures"]
        )
        assert whole.erased == 3

    listed = {one.member_id: one for one in mine.read()}
    assert sorted(listed) == ["mem_a", "mem_x", "mem_y"]
    assert (listed["mem_a"].at_us, listed["mem_a"].has_ended) == (2, True)
    assert not any(one.is_done for one in listed.values())
    assert mine.path.stat().st_mode & 0o777 == 0o600


def test_what_was_not_finished_when_the_backup_was_made_is_begun_again(
    old: DataFolder, tmp_path: Path, clock: FakeClock
) -> None:
    """P4: the copies may hold bodies of one whom the folder's own list knows as finished."""
    theirs = ErasureList.beside(old.ledger)
    theirs.begin(["mem_a"], 2, has_ended=False)
    make(old.folder, old.ledger, tmp_path / "b.db", clock)
    theirs.done(["mem_a"])
    old.desk.close()

    restore(tmp_path / "b.db", at(old.folder), clock)

    assert [one.is_done for one in theirs.read()] == [False]


def test_of_two_lists_the_later_erasure_of_a_member_counts(tmp_path: Path) -> None:
    """P4, P11: who was erased, and then with the whole group, leaves no trace of the external id either."""
    first, second = ErasureList(tmp_path / "1"), ErasureList(tmp_path / "2")
    first.begin(["mem_a"], 1, has_ended=False)
    first.begin(["mem_a"], 5, has_ended=True)
    second.begin(["mem_a"], 3, has_ended=False)
    second.done(["mem_a"])

    assert first.merge(second.path) == 0
    assert second.merge(first.path) == 1

    for one in (first, second):
        assert [(e.at_us, e.has_ended, e.is_done) for e in one.read()] == [(5, True, False)]


def test_a_list_that_cannot_be_read_stops_a_restore(
    old: DataFolder, tmp_path: Path, clock: FakeClock
) -> None:
    """P4: else nobody knows whom to forget."""
    ErasureList.beside(old.ledger).begin(["mem_a"], 2, has_ended=False)
    make(old.folder, old.ledger, tmp_path / "b.db", clock)
    (tmp_path / "b.db.erasures").write_text("{}\n")

    with pytest.raises(StoreError, match="damaged in line 1"):
        restore(tmp_path / "b.db", at(tmp_path / "new"), clock)
    with pytest.raises(StoreError, match="no list of erasures"):
        restore(tmp_path / "b.db", at(tmp_path / "new"), clock, erasures=[tmp_path / "nowhere"])

    assert not (tmp_path / "new").exists()
