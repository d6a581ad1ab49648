"""P10, D8: what a backup holds and does not hold, and that each of its files is there whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import threading
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
from tuckshop.backups.draft_folder import draft_folder
from tuckshop.backups.making import Wish, make
from tuckshop.backups.parts import Parts
from tuckshop.domain.errors import StoreError
from tuckshop.keeping.body_copies import check_copy, copy_bodies
from tuckshop.keeping.body_file import BodyFile
from tuckshop.keeping.kept_body import KeptBody
from tuckshop.ledger.backup import examine
from tuckshop.ledger.verify import verify_folder
from tuckshop.storage.person_key_copies import check_key_copy

ALL = Wish(person_keys=True, passphrase=PASSPHRASE)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def old(tmp_path: Path, clock: FakeClock) -> DataFolder:
    return DataFolder(tmp_path / "old", clock)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_by_default_nothing_in_it_opens_anything(
    old: DataFolder, out: Path, clock: FakeClock
) -> None:
    """Neither keys of persons nor credentials; bodies as they lie there, sealed."""
    made = make(old.folder, old.ledger, out / "b.db", clock)

    assert made.report.differences == []
    assert names(out) == ["b.db", "b.db.bodies"]
    assert bodies_in(out / "b.db.bodies") == bodies_in(old.folder / "bodies.db")
    assert len(bodies_in(out / "b.db.bodies")) == 2
    assert sealed_in(out / "b.db", "upstreams") == [None]
    assert sealed_in(out / "b.db", "webhooks") == [b""]
    content = b"".join((out / name).read_bytes() for name in names(out))
    here = [one for table in ("upstreams", "webhooks") for one in sealed_in(old.ledger, table)]
    assert len(here) == 2
    for secret in (*here, old.master, CREDENTIAL.encode(), SIGNING.encode(), SAID):
        assert secret is not None
        assert secret not in content


def test_what_is_asked_for_lies_in_files_of_its_own(
    old: DataFolder, out: Path, clock: FakeClock
) -> None:
    made = make(old.folder, old.ledger, out / "b.db", clock, ALL)

    assert names(out) == ["b.db", "b.db.bodies", "b.db.credentials", "b.db.person-keys"]
    assert {(out / name).stat().st_mode & 0o777 for name in names(out)} == {0o600}
    assert made.person_keys == Parts(out / "b.db").person_keys
    check_key_copy(out / "b.db.person-keys", None)
    # Without the passphrase nothing of it is to be seen, and the ledger is as it is without.
    sealed = (out / "b.db.credentials").read_bytes()
    for secret in (old.master, old.master.hex().encode(), CREDENTIAL.encode(), SIGNING.encode()):
        assert secret not in sealed
    assert sealed_in(out / "b.db", "upstreams") == [None]


def test_bodies_may_be_left_out(old: DataFolder, out: Path, clock: FakeClock) -> None:
    made = make(old.folder, old.ledger, out / "b.db", clock, Wish(bodies=False))

    assert made.bodies is None
    assert names(out) == ["b.db"]


def test_a_short_passphrase_makes_no_backup(old: DataFolder, out: Path, clock: FakeClock) -> None:
    with pytest.raises(StoreError, match="shorter than 12"):
        make(old.folder, old.ledger, out / "b.db", clock, Wish(passphrase="short"))

    assert names(out) == []


@pytest.mark.parametrize("suffix", ["", ".bodies", ".person-keys", ".credentials", ".erasures"])
def test_a_file_at_any_of_its_places_is_left_alone(
    old: DataFolder, out: Path, clock: FakeClock, suffix: str
) -> None:
    """Even one that this backup would not write: it would be taken for its own."""
    (out / f"b.db{suffix}").write_text("precious")

    with pytest.raises(StoreError, match="replaces nothing"):
        make(old.folder, old.ledger, out / "b.db", clock)

    assert names(out) == [f"b.db{suffix}"]
    assert (out / f"b.db{suffix}").read_text() == "precious"


def test_a_name_that_is_taken_meanwhile_leaves_none_of_ours(
    old: DataFolder, out: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Parts, "present", lambda self: [])
    (out / "b.db").write_text("the other's")

    with pytest.raises(StoreError, match="appeared meanwhile"):
        make(old.folder, old.ledger, out / "b.db", clock, ALL)

    assert names(out) == ["b.db"]


def test_a_kill_at_any_step_leaves_no_half_file(old: DataFolder, out: Path) -> None:
    """D2, D8: what has a name is whole, the ledger's comes last, and the next backup clears up."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_backup", str(old.folder), str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    died = int(done.stdout)
    assert died > 20
    finished = 0
    for path in out.glob("*.db*"):
        if path.name.endswith(".bodies"):
            check_copy(path)
        elif path.name.endswith(".person-keys"):
            check_key_copy(path, None)
        elif path.name.endswith(".credentials"):
            assert path.read_bytes().startswith(b"tuckshop credentials 1\n")
        else:
            examine(path)
            assert len(Parts(path).present()) == 4
            finished += 1
    assert finished >= 1
    # The last one, which survived, has removed what those before had left behind.
    assert [name for name in names(out) if name.startswith(".")] == []
    old.desk.close()
    assert verify_folder(old.folder, full=True).differences == []


def test_the_draft_of_a_backup_that_is_being_made_is_not_cleared_away(out: Path) -> None:
    with draft_folder(out) as mine, draft_folder(out) as other:
        assert mine != other
        assert len(names(out)) == 4  # a lock each

    assert names(out) == []


def test_bodies_are_copied_at_one_instant_while_they_are_written(
    old: DataFolder, out: Path, clock: FakeClock
) -> None:
    """A race: each piece of the copy is followed by another body, and the copy ends all the same."""
    file = BodyFile(old.folder / "bodies.db", max_bytes=BODIES_MAX_BYTES)
    big = [_body(f"big_{number}", clock) for number in range(300)]
    file.add([(body, bytes(60_000)) for body in big])  # 18 MB: five pieces
    file.close()
    before = set(bodies_in(old.folder / "bodies.db"))
    stop, written = threading.Event(), [0]

    def write_on() -> None:
        writer = BodyFile(old.folder / "bodies.db", max_bytes=BODIES_MAX_BYTES)
        while not stop.is_set():
            written[0] += 1
            writer.add([(_body(f"late_{written[0]}", clock), b"x" * 100)])
        writer.close()

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        assert copy_bodies(old.folder / "bodies.db", out / "copy")
    finally:
        stop.set()
        thread.join()

    check_copy(out / "copy")
    copied = set(bodies_in(out / "copy"))
    late = sorted(int(name.removeprefix("late_")) for name in copied - before)
    assert before <= copied
    assert late == list(range(1, len(late) + 1))
    assert len(late) < written[0]


def _body(request: str, clock: FakeClock) -> KeptBody:
    return KeptBody(
        request_id=request,
        workspace_id="wsp_default",
        group_id="grp_a",
        member_id="mem_a",
        at_us=clock.now_us(),
        is_flagged=False,
    )
