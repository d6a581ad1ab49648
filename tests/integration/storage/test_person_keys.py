"""Person keys: what they close, and that a destroyed one is gone from the disk."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuckshop.domain.errors import StoreError
from tuckshop.storage import person_keys
from tuckshop.storage.person_keys import PersonKeyGoneError, PersonKeys
from tuckshop.storage.sealing import SealError

WRAPPING = b"w" * 32


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[PersonKeys]:
    found = PersonKeys.open_beside(tmp_path / "tuckshop.db", WRAPPING)
    yield found
    found.close()


def reopened(keys: PersonKeys, wrapping: bytes = WRAPPING) -> PersonKeys:
    keys.close()
    return PersonKeys.open_beside(keys.path.with_name("tuckshop.db"), wrapping)


def wrapped_of(keys: PersonKeys, member_id: str) -> bytes:
    connection = sqlite3.connect(keys.path)
    (found,) = connection.execute(
        "SELECT wrapped FROM person_keys WHERE member_id = ?", (member_id,)
    ).fetchone()
    connection.close()
    assert isinstance(found, bytes)
    return found


def on_the_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_what_is_sealed_opens_again_also_after_a_restart(keys: PersonKeys) -> None:
    sealed = keys.seal("mem_a", b"what Anna wrote", place="bodies/req_1")

    assert b"Anna" not in sealed
    assert keys.open("mem_a", sealed, place="bodies/req_1") == b"what Anna wrote"
    again = reopened(keys)
    assert again.open("mem_a", sealed, place="bodies/req_1") == b"what Anna wrote"
    again.close()


def test_it_opens_for_nobody_else_nowhere_else_and_not_with_another_secret(
    keys: PersonKeys,
) -> None:
    """P4: bound to person and place; the file alone opens nothing."""
    sealed = keys.seal("mem_a", b"x", place="here")
    keys.ensure(["mem_b"])

    with pytest.raises(SealError):
        keys.open("mem_b", sealed, place="here")
    with pytest.raises(SealError):
        keys.open("mem_a", sealed, place="there")
    other = reopened(keys, b"o" * 32)
    with pytest.raises(SealError):
        other.open("mem_a", sealed, place="here")
    other.close()


def test_the_file_is_for_its_owner_only(keys: PersonKeys) -> None:
    """P10: a file of its own, mode 0600, also where it was opened up meanwhile."""
    keys.path.chmod(0o644)
    reopened(keys).close()

    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


def test_a_destroyed_key_is_gone_from_every_file(keys: PersonKeys) -> None:
    """P4, P8: no copy of it is left in the folder, and a journal that held it is not there any more."""
    ids = [f"mem_{number}" for number in range(500)]
    keys.ensure(ids)
    sealed = keys.seal("mem_7", b"x", place="here")
    canary = wrapped_of(keys, "mem_7")
    assert canary in on_the_disk(keys.path.parent)

    assert keys.destroy(["mem_7", "mem_never"]) == 1

    assert canary not in on_the_disk(keys.path.parent)
    assert [path.name for path in keys.path.parent.iterdir()] == [keys.path.name]
    with pytest.raises(PersonKeyGoneError, match="destroyed"):
        keys.open("mem_7", sealed, place="here")
    assert keys.alive(ids) == set(ids) - {"mem_7"}
    assert keys.destroy(["mem_7"]) == 0


def test_nothing_late_gives_an_erased_person_a_new_key(keys: PersonKeys) -> None:
    """P4: a call that was running when its member was erased has nothing to be kept with."""
    keys.destroy(["mem_a"])
    keys.ensure(["mem_a"])

    with pytest.raises(PersonKeyGoneError):
        keys.seal("mem_a", b"late", place="here")


def test_who_comes_back_gets_a_fresh_key(keys: PersonKeys) -> None:
    """P4: what was closed before stays closed."""
    sealed = keys.seal("mem_a", b"before", place="here")
    keys.destroy(["mem_a"])
    keys.renew("mem_a")

    with pytest.raises(SealError):
        keys.open("mem_a", sealed, place="here")
    after = keys.seal("mem_a", b"after", place="here")
    keys.renew("mem_a")  # repeated: nothing
    assert keys.open("mem_a", after, place="here") == b"after"


def test_a_key_that_never_was_is_told_apart(keys: PersonKeys) -> None:
    with pytest.raises(PersonKeyGoneError, match="there is no key of mem_x"):
        keys.open("mem_x", b"\x01" + bytes(40), place="here")


def test_a_key_is_on_the_disk_before_anything_is_sealed_with_it(
    keys: PersonKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: what another connection does not see yet closes nothing."""
    sealed = keys.seal("mem_a", b"x", place="here")

    assert wrapped_of(keys, "mem_a")
    (synchronous,) = keys._connection.execute("PRAGMA synchronous").fetchone()
    assert synchronous == 3
    assert keys.open("mem_a", sealed, place="here") == b"x"


def test_the_cache_is_bounded_and_forgets_nothing(
    keys: PersonKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person_keys, "CACHE_MAX", 4)
    sealed = {f"mem_{n}": keys.seal(f"mem_{n}", b"%d" % n, place="here") for n in range(20)}

    assert len(keys._cache) <= 4
    for number in range(20):
        id_ = f"mem_{number}"
        assert keys.open(id_, sealed[id_], place="here") == b"%d" % number


def test_many_threads_agree_on_one_key(keys: PersonKeys) -> None:
    made: list[bytes] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        made.append(keys.seal("mem_a", b"x", place="here"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [keys.open("mem_a", sealed, place="here") for sealed in made] == [b"x"] * 8


def test_a_file_that_is_no_such_thing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "person-keys.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="damaged"):
        PersonKeys.open_beside(tmp_path / "tuckshop.db", WRAPPING)

    path.unlink()
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id = 7")
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(StoreError, match="another program"):
        PersonKeys.open_beside(tmp_path / "tuckshop.db", WRAPPING)
