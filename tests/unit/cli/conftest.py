"""The fake server, and a way to run a command against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.unit.cli.fake_server import FakeServer, running
from tuckshop.cli.main import cli

Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running() as fake:
        yield fake


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder, with *environment* and no other setting."""
    monkeypatch.chdir(tmp_path)

    def run(
        *arguments: str,
        environment: Mapping[str, str | None] | None = None,
        stdin: str | None = None,
    ) -> Result:
        return CliRunner().invoke(
            cli, list(arguments), input=stdin, env=environment or {}, prog_name="tuckshop"
        )

    return run
