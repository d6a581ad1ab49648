"""The client libraries' environments, and one server with a made-up upstream for a whole module of tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import mock as mock
from tests.acceptance.conftest import new_key as new_key
from tests.acceptance.conftest import server as server
from tests.support.node import last_json, run_node
from tests.support.processes import Server, clean_environment

ROOT = Path(__file__).parents[2]
NEWEST = ROOT / ".venv-clients/bin"  # what stands on the newest openai package; and a Node.js
OLDER = ROOT / ".venv-clients-openai-2/bin"  # what still stands on version 2 of it
NODE_PACKAGES = Path(__file__).with_name("node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A client library, and the program that plays the scenarios with it."""

    name: str
    program: Path
    binaries: Path
    options: tuple[str, ...] = ()


def settings_of(server: Server, key: str) -> dict[str, str]:
    """The environment that the page on clients tells a student to set, and nothing else of tuckshop's."""
    return {
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_BASE": f"{server.url}/v1",
        "OPENAI_API_KEY": key,
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
    }


def run_python(
    binaries: Path, program: Path, *arguments: str, folder: Path, environment: dict[str, str]
) -> str:
    """What *program* prints. Raises AssertionError with all that it wrote if its status is not 0."""
    inherited = {n: v for n, v in clean_environment().items() if n != "PYTHONPATH"}
    done = subprocess.run(
        [str(binaries / "python"), str(program), *arguments],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


Play = Callable[..., dict[str, Any]]


@pytest.fixture
def play(server: Server, tmp_path: Path) -> Play:
    """Play a scenario with a library and a key; tells its value, or the error that a student would see."""

    def run(
        library: Library, scenario: str, key: str, *, prompt: str | None = None
    ) -> dict[str, Any]:
        environment = settings_of(server, key) | ({"PROMPT": prompt} if prompt else {})
        arguments = (scenario, *library.options)
        if library.program.suffix == ".mjs":
            printed = run_node(
                library.program,
                *arguments,
                packages=NODE_PACKAGES,
                folder=tmp_path,
                environment=environment,
                node=str(library.binaries / "node"),
            )
        else:
            printed = run_python(
                library.binaries,
                library.program,
                *arguments,
                folder=tmp_path,
                environment=environment,
            )
        told: dict[str, Any] = last_json(printed)
        return told

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the environments nothing here can run: say so instead of failing one by one."""
    if os.access(NEWEST / "python", os.X_OK) and os.access(OLDER / "python", os.X_OK):
        return
    missing = pytest.mark.skip(reason="needs the clients' environments: run `make test-clients`")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(missing)
