"""`tuckshop verify` over the made-up week: agrees with what was written, and finds what was changed behind its back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tuckshop.cli.main import cli
from tuckshop.demo.folder import make_anew
from tuckshop.demo.seed import fill


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    make_anew(folder)
    asyncio.run(fill(folder, until_us=time.time_ns() // 1000))
    return folder


def _verify(folder: Path, *options: str, **environment: str) -> Result:
    return CliRunner().invoke(
        cli, ["verify", *options], env={"TUCKSHOP_DATA": str(folder), **environment}
    )


def _change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "tuckshop.db")) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("options", [(), ("--since-closing",)])
def test_all_agrees(folder: Path, options: tuple[str, ...]) -> None:
    result = _verify(folder, *options)

    assert result.exit_code == 0, result.output
    assert "All agrees" in result.stderr
    report = json.loads(_verify(folder, *options, "--json").stdout)
    assert report["agrees"]
    assert report["counters"] > 0
    assert report["usage_buckets"] > 0


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE counters SET used = used + 1 WHERE metric = 'money'", "counter"),
        ("UPDATE usage_buckets SET cost = cost + 1", "usage bucket"),
        ("UPDATE audit SET action = 'nothing'", "audit row"),
    ],
)
def test_what_was_changed_is_found_and_told(folder: Path, statement: str, where: str) -> None:
    _change(folder, statement)

    result = _verify(folder)

    assert result.exit_code == 1
    assert "contradicts itself" in result.stderr
    assert where in result.stderr
    report = _verify(folder, "--json")
    assert report.exit_code == 1
    assert not json.loads(report.stdout)["agrees"]


def test_a_ledger_elsewhere_is_found_by_its_address(folder: Path, tmp_path: Path) -> None:
    result = _verify(tmp_path / "none", TUCKSHOP_DATABASE_URL=f"sqlite:///{folder / 'tuckshop.db'}")

    assert result.exit_code == 0, result.output


def test_no_ledger_is_told(tmp_path: Path) -> None:
    result = _verify(tmp_path / "none")

    assert result.exit_code == 1
    assert "there is no ledger" in result.stderr
