"""Programs for Node.js, run as a student would run them: packages beside the program, settings in the environment."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.processes import clean_environment


def run_node(
    program: Path,
    *arguments: str,
    packages: Path,
    folder: Path,
    environment: Mapping[str, str],
    node: str = "node",
) -> str:
    """
    What *program* prints when it runs in *folder*, with the packages that *packages*/node_modules holds.

    Raises:
        AssertionError: It ended with another status than 0; says what it wrote.
    """
    if program.parent != folder:
        shutil.copy(program, folder / program.name)
    beside = folder / "node_modules"
    if not beside.is_symlink():
        beside.symlink_to(packages / "node_modules")
    done = subprocess.run(
        [node, program.name, *arguments],
        cwd=folder,
        env=clean_environment() | dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def last_json(printed: str) -> Any:
    """The JSON in the last line of what a program *printed*."""
    return json.loads(printed.splitlines()[-1])
