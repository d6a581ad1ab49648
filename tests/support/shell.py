"""The command, run as people type it, beside a running server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from tests.support.processes import COMMAND, Server, clean_environment


class Shell:
    """A terminal in the folder where the server was started."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def run(
        self,
        *arguments: str,
        status: int = 0,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, which must end with *status*."""
        done = subprocess.run(
            [str(COMMAND), *arguments],
            env=clean_environment()
            | {"TUCKSHOP_DATA": str(self.server.data)}
            | dict(environment or {}),
            cwd=self.server.data.parent,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, (
            f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def json(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.run(*arguments, "--json").stdout)
