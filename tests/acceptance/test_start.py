"""What cannot start says so in one sentence and ends: no traceback, nothing half made, nothing overwritten."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.support.positions import ledger_file
from tests.support.processes import (
    ADMIN_TOKEN,
    COMMAND,
    CREDENTIAL,
    clean_environment,
    start_server,
)


def refused(folder: Path, *arguments: str, **settings: str) -> str:
    """The sentence with which `tuckshop serve` ends over *folder*/data; *settings* as environment variables."""
    environment = clean_environment() | {
        "TUCKSHOP_DATA": str(folder / "data"),
        "TUCKSHOP_PORT": "0",
        "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
        "TUCKSHOP_LOG_LEVEL": "error",
    }
    done = subprocess.run(
        [str(COMMAND), "serve", *arguments],
        env=environment | settings,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == (2 if arguments else 1), done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert CREDENTIAL not in done.stderr
    lines = done.stderr.splitlines()
    if not arguments:
        assert len(lines) == 1, done.stderr
    assert lines[-1].startswith("Error: ")
    return lines[-1].removeprefix("Error: ")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TUCKSHOP_PROT", "8000", "TUCKSHOP_PORT"),
        ("TUCKSHOP_PORT", "eighty", "TUCKSHOP_PORT"),
        ("TUCKSHOP_PORT", "70000", "TUCKSHOP_PORT"),
        ("TUCKSHOP_DURABILITY", "maybe", "full, process"),
        ("TUCKSHOP_TIMEZONE", "Berlin", "TUCKSHOP_TIMEZONE"),
        ("TUCKSHOP_DRAIN_SECONDS", "nan", "TUCKSHOP_DRAIN_SECONDS"),
        ("TUCKSHOP_LOG_LEVEL", "loud", "TUCKSHOP_LOG_LEVEL"),
        ("TUCKSHOP_ADMIN_TOKEN", "with a blank in it", "TUCKSHOP_ADMIN_TOKEN"),
        ("TUCKSHOP_DATABASE_URL", "mysql://db", "TUCKSHOP_DATABASE_URL"),
        ("TUCKSHOP_DATABASE_URL", "sqlite:///", "TUCKSHOP_DATABASE_URL"),
        ("TUCKSHOP_EDGE_HEAD_TIMEOUT", "1", "TUCKSHOP_EDGE"),
        ("TUCKSHOP_HOST", "no.such.host.invalid", "no.such.host.invalid"),
        ("OPENAI_API_KEY", "sk-tuck-0123456789", "OPENAI_API_KEY: this is a virtual key"),
        ("OPENAI_API_KEY_FILE", "/no/such/file", "OPENAI_API_KEY_FILE"),
        ("TUCKSHOP_OPENAI_PROFILE", "azure", "TUCKSHOP_OPENAI_PROFILE"),
    ],
)
def test_a_bad_setting_is_named(folder: Path, name: str, value: str, said: str) -> None:
    assert said in refused(folder, **{name: value})


@pytest.mark.parametrize(
    "url", ["api.example.org", "ftp://api.example.org/v1", "http://u:p@host/v1"]
)
def test_a_bad_address_of_the_upstream_is_refused(folder: Path, url: str) -> None:
    assert "OPENAI_BASE_URL" in refused(folder, OPENAI_API_KEY=CREDENTIAL, OPENAI_BASE_URL=url)


def test_an_upstream_that_is_our_own_listener_is_refused(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])

    said = refused(
        folder,
        TUCKSHOP_PORT=port,
        OPENAI_API_KEY=CREDENTIAL,
        OPENAI_BASE_URL=f"http://localhost:{port}/v1",
    )

    assert "OPENAI_BASE_URL" in said


def test_a_bad_file_of_settings_is_named(folder: Path) -> None:
    (folder / "tuckshop.toml").write_text("port = \n")
    assert "tuckshop.toml" in refused(folder)

    (folder / "tuckshop.toml").write_text("prot = 8000\n")
    assert "prot" in refused(folder)


def test_a_wrong_option_is_a_mistake_of_usage(folder: Path) -> None:
    assert "--nonsense" in refused(folder, "--nonsense")


def test_a_port_in_use_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused(folder, TUCKSHOP_PORT=port)

    assert port in said
    assert "TUCKSHOP_PORT" in said
    assert not (folder / "data" / "run.json").exists()


def test_a_data_folder_below_a_file_cannot_be_made(folder: Path) -> None:
    (folder / "data").write_text("a file")

    assert str(folder / "data") in refused(folder)

    assert (folder / "data").read_text() == "a file"


def test_a_data_folder_that_cannot_be_written_is_refused(folder: Path) -> None:
    """Without root a folder without the right to write; root needs one where nothing can be made at all."""
    if os.geteuid() == 0:
        data = Path("/proc/tuckshop-data")
    else:
        data = folder / "locked"
        data.mkdir(mode=0o500)

    assert str(data) in refused(folder, TUCKSHOP_DATA=str(data))


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose data was served from once and is not any more."""
    folder = tmp_path_factory.mktemp("used")
    server = start_server(folder, None)
    server.made("POST", "/groups", {"name": "kept"})
    assert server.stop() == 0
    return folder


@pytest.fixture
def copy(used: Path, tmp_path: Path) -> Path:
    shutil.copytree(used / "data", tmp_path / "data")
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    """What must not change in the data folder: everything but the lock's owner."""
    return {
        path.name: path.read_bytes()
        for path in (folder / "data").iterdir()
        if path.is_file() and "lock" not in path.name
    }


def test_a_second_process_is_refused_and_the_first_serves_on(folder: Path) -> None:
    server = start_server(folder, None)
    try:
        said = refused(folder)

        assert str(server.process.pid) in said
        assert "in use" in said
        assert server.admin("GET", "/groups")[0] == 200
        assert (server.data / "run.json").exists()
    finally:
        assert server.stop() == 0


def test_a_database_of_a_later_version_is_left_alone(copy: Path) -> None:
    with contextlib.closing(sqlite3.connect(ledger_file(copy / "data"))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = content(copy)

    said = refused(copy)

    assert "newer" in said
    assert content(copy) == before


def test_a_missing_database_is_never_replaced_by_an_empty_one(copy: Path) -> None:
    ledger_file(copy / "data").unlink()
    before = content(copy)

    assert "missing" in refused(copy)

    assert content(copy) == before


@pytest.mark.parametrize("how", ["foreign", "other ledger", "truncated", "rubbish", "empty"])
def test_a_database_that_is_not_ours_is_left_alone(copy: Path, how: str) -> None:
    path = ledger_file(copy / "data")
    match how:
        case "foreign":
            path.unlink()
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute("CREATE TABLE songs (name TEXT)")
                connection.commit()
        case "other ledger":
            (copy / "elsewhere").mkdir()
            assert start_server(copy / "elsewhere", None).stop() == 0
            shutil.copy(ledger_file(copy / "elsewhere" / "data"), path)
        case "truncated":
            os.truncate(path, path.stat().st_size // 2)
        case "rubbish":
            path.write_bytes(os.urandom(8192))
        case "empty":
            path.write_bytes(b"")
    before = content(copy)

    assert path.name in refused(copy)

    assert content(copy) == before


def test_a_damaged_secret_is_not_made_anew(copy: Path) -> None:
    (copy / "data" / "secret-key").write_text("rubbish")

    assert "secret-key" in refused(copy)

    assert (copy / "data" / "secret-key").read_text() == "rubbish"


def test_after_all_refusals_the_untouched_folder_still_serves(copy: Path) -> None:
    server = start_server(copy, None)
    try:
        assert [group["name"] for group in server.made("GET", "/groups")["data"]] == ["kept"]
    finally:
        assert server.stop() == 0
