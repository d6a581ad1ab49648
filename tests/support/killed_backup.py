"""
Makes a backup again and again, and dies each time one step later: at the N-th thing done to the target's folder.

    python -m tests.support.killed_backup DATA FOLDER

Each attempt is a child of its own, killed by SIGKILL; each writes to a name of its own in FOLDER. Ends with 0 when one
survived, and prints how many died before.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

from tests.support.fake_clock import FakeClock
from tuckshop.backups.making import Wish, make

PASSPHRASE = "a passphrase for tests"
_EVENTS = frozenset(
    {"open", "os.link", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod"}
)


def attempt(data: Path, folder: Path, steps: int) -> None:
    seen = [0]

    def count(event: str, arguments: tuple[object, ...]) -> None:
        if event not in _EVENTS and event != "sqlite3.connect":
            return
        if any(str(folder) in str(argument) for argument in arguments):
            seen[0] += 1
            if seen[0] == steps:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    wish = Wish(person_keys=True, passphrase=PASSPHRASE)
    make(data, data / "tuckshop.db", folder / f"{steps}.db", FakeClock(), wish)


def main(data: Path, folder: Path) -> int:
    for steps in range(1, 200):
        child = os.fork()
        if not child:
            try:
                attempt(data, folder, steps)
                os._exit(0)
            finally:  # a child never goes on as its parent
                traceback.print_exc()
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            print(steps - 1)
            return os.WEXITSTATUS(status)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
