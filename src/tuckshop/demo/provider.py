"""
The demo's made-up provider, as a process of its own: `python -m tuckshop.demo.provider`.

It ends when its standard input does, so that it never outlives the demo, however that ends.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import Final

from tuckshop.domain.errors import SettingsError
from tuckshop.mock_upstream.server import run

CREDENTIAL: Final = "sk-made-up-credential-of-the-demo"
START_TIMEOUT_S: Final = 15.0
STOP_TIMEOUT_S: Final = 3.0
TOKENS_PER_SECOND: Final = 60.0  # about as fast as the real ones, so that streaming can be seen
FIRST_TOKEN_MS: Final = 250.0


class Provider:
    """The running process. `stop` ends it."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self._process = process
        self.url = url  # with /v1

    @classmethod
    def start(cls) -> Provider:
        """
        Start it, on a port that is free.

        Raises:
            SettingsError: It did not come up.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "tuckshop.demo.provider"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the demo, which lets running answers end first
        )
        try:
            return cls(process, _address(process))
        except BaseException:
            process.kill()
            process.wait()
            raise

    def stop(self) -> None:
        """End it and wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _address(process: subprocess.Popen[bytes]) -> str:
    """The address that it prints when it listens."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_TIMEOUT_S
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], deadline - time.monotonic())
        piece = os.read(process.stdout.fileno(), 1) if ready else b""
        if not piece:
            raise SettingsError("the made-up provider did not start")
        line += piece
    at = line.find(b"http://")
    if at < 0:
        raise SettingsError(f"the made-up provider did not start: {line.decode(errors='replace')}")
    return line[at:].split()[0].decode()


def main() -> None:
    """Be the made-up provider until standard input ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run(credential=CREDENTIAL, tokens_per_second=TOKENS_PER_SECOND, first_token_ms=FIRST_TOKEN_MS)


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
