"""A server whose wall clock is wrong, by libfaketime from outside: the product has no setting for it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support.processes import COMMAND, Mock, Server, start_server


def start_at(folder: Path, mock: Mock, time: str, *, ready_path: str = "/readyz") -> Server:
    """
    A server over *folder*/data whose wall clock says *time* when it starts, and goes on from there.

    Args:
        time: As faketime takes it: an offset (`+2d`), or a time of its own (`@2026-10-25 00:30:00`, UTC).
    """
    faketime = shutil.which("faketime")
    if faketime is None:
        if os.environ.get("CI") == "true":
            pytest.fail("faketime is missing: apt-get install faketime")
        pytest.skip("NOT TESTED: restarts under a false clock; apt-get install faketime")
    return start_server(
        folder,
        mock.url,
        command=(faketime, "-f", time, str(COMMAND), "serve"),
        ready_path=ready_path,
        DONT_FAKE_MONOTONIC="1",
        TZ="UTC",
    )


def stop(server: Server) -> None:
    """The wrapper passes no signal on: end the server that it started, by the id in its run file."""
    pid = int(json.loads((server.data / "run.json").read_text())["pid"])
    os.kill(pid, 15)
    assert server.process.wait(40) == 0
