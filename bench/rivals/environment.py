"""
Where the rivals are installed: a folder beside the checkout's own environment, at the versions pinned here.

`package-lock.json` and `requirements.txt` are what their own resolvers chose; hashes are checked by pip and npm.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
FOLDER: Final = HERE.parents[1] / ".rivals"
PINS: Final = ("requirements.txt", "package.json", "package-lock.json")
LITELLM: Final = FOLDER / "litellm/bin/litellm"
PORTKEY: Final = FOLDER / "node_modules/@portkey-ai/gateway/build/start-server.js"


def install() -> None:
    """
    Both, unless they are there at these versions.

    Raises:
        SystemExit: A registry lacks one, or node is missing.
    """
    stamp = FOLDER / "installed"
    wanted = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PINS)).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not shutil.which("npm"):
        raise SystemExit("missing: node and npm, for Portkey's gateway")
    FOLDER.mkdir(exist_ok=True)
    for name in PINS:
        shutil.copy(HERE / name, FOLDER)
    _run(sys.executable, "-m", "venv", "--clear", "litellm")
    _run(
        *("litellm/bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt"),
    )
    _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    stamp.write_text(wanted)


def _run(*command: str) -> None:
    print(" ".join(command), file=sys.stderr, flush=True)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # an installation is no measurement
    try:
        done = subprocess.run(command, cwd=FOLDER, check=False)
    finally:
        os.sched_setaffinity(0, cores)
    if done.returncode:
        raise SystemExit(f"cannot be installed: {' '.join(command)} ended with {done.returncode}")
