"""What the benchmark needs of the machine, and the tools that are installed for it where they may be."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Final

from bench.subjects import OTHER_CORE

TOOLS: Final = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux"}


def make_ready() -> None:
    """
    nginx, wrk and taskset, by apt where this may install; and ourselves off the proxy's core.

    Raises:
        SystemExit: Something is missing; says how to get it.
    """
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("two cores are needed: one for the proxy, one for all else")
    os.sched_setaffinity(0, {int(OTHER_CORE)})
    path = f"{os.defpath}:/usr/sbin:/usr/bin:/bin"
    packages = [package for tool, package in TOOLS.items() if not shutil.which(tool, path=path)]
    if not packages:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "--quiet"], check=False)
        if subprocess.run(command, check=False).returncode == 0:
            return
    raise SystemExit(f"missing; as root: {' '.join(command)}")
