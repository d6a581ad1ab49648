"""`python -m tests.support.killed_erasure POINT serve`: the real server, killed at one step of an erasure."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, Final

from tuckshop.cli.main import main
from tuckshop.services.erasing.cleaning import Cleaning
from tuckshop.storage.erasures import ErasureList
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.writer import Writer

# Where it dies: before this function does anything, or (True) after all.
POINTS: Final[Mapping[str, tuple[Any, str, bool]]] = {
    "listed": (ErasureList, "begin", True),
    "nameless": (Cleaning, "clean", False),
    "scrubbed": (PersonKeys, "destroy", False),
    "key destroyed": (PersonKeys, "destroy", True),
    "rewritten": (Writer, "empty_log", False),
    "all but told": (ErasureList, "done", False),
}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _arm(owner: Any, name: str, is_after: bool) -> None:
    original = getattr(owner, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        if is_after:
            original(*arguments, **named)
        _die()

    setattr(owner, name, dying)


if __name__ == "__main__":
    _arm(*POINTS[sys.argv.pop(1)])
    main()
