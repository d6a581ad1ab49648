"""A demo removes what an earlier demo left, and nothing that is anybody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuckshop.demo.folder import SIGN_NAME, make_anew
from tuckshop.domain.errors import StoreError
from tuckshop.storage.data_folder import FolderLock


def test_a_new_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    make_anew(tmp_path / "demo")

    assert (tmp_path / "demo").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "demo" / SIGN_NAME).is_file()


def test_an_earlier_demo_is_removed_and_what_else_lies_there_is_left(tmp_path: Path) -> None:
    make_anew(tmp_path)
    for name in ("tuckshop.db", "tuckshop.db-wal", "tuckshop.json", "admin-token", "notes.txt"):
        (tmp_path / name).write_text("x")

    make_anew(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {SIGN_NAME, "tuckshop.lock", "notes.txt"}


def test_a_folder_that_is_not_a_demos_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "tuckshop.db").write_text("the real ledger")

    with pytest.raises(StoreError, match="not a demo's folder"):
        make_anew(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["tuckshop.db"]


def test_a_sign_that_is_a_link_is_no_sign(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("x")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / SIGN_NAME).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StoreError, match="not a demo's folder"):
        make_anew(tmp_path / "demo")


def test_a_demo_that_runs_is_left_alone(tmp_path: Path) -> None:
    make_anew(tmp_path)
    (tmp_path / "tuckshop.db").write_text("x")
    lock = FolderLock.take(tmp_path / "tuckshop.db")

    with pytest.raises(StoreError, match="in use by another tuckshop"):
        make_anew(tmp_path)

    lock.release()
    assert (tmp_path / "tuckshop.db").exists()


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("x")

    with pytest.raises(StoreError, match="cannot be made"):
        make_anew(tmp_path / "demo")
