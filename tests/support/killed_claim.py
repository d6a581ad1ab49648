"""`python -m tests.support.killed_claim serve`: the real server, killed between opening a link and answering."""

from __future__ import annotations

import os
import signal
from typing import Any

from tuckshop.cli.main import main
from tuckshop.services import claims


def _die(*of_whatever: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    setattr(claims, "snippets", _die)  # noqa: B010 - it is imported there, for its own use
    main()
