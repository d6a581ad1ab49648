"""Counts tokens exactly, in a process of its own: an idle server carries no vocabulary, and none stops its loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from tuckshop.domain.clock import Clock
from tuckshop.tokenizing import worker
from tuckshop.workers.process import WorkerLimits, WorkerProcess

COMMAND: Final = (sys.executable, "-I", worker.__file__)
LIMITS: Final = WorkerLimits(
    asker_max_bytes=9 << 17,  # also the most of one call: a mebibyte of text, and its sizes
    waiting_max_bytes=16 << 20,
    wait_s=6.0,
    job_s=5.0,
    idle_s=300.0,
)


class TokenCounter:
    """One per server. Belongs to one event loop."""

    def __init__(
        self, *, clock: Clock, limits: WorkerLimits = LIMITS, command: Sequence[str] = COMMAND
    ) -> None:
        self._worker = WorkerProcess(
            name="counts tokens", command=command, clock=clock, limits=limits
        )

    async def count(self, encoding: str, texts: Sequence[bytes], *, asker: str) -> list[int] | None:
        """
        How many tokens each of *texts*, in UTF-8, is; None where that cannot be told in time.

        Args:
            asker: Who it is done for. Those who ask little never wait long for one who asks much.
        """

        async def receive(answers: asyncio.StreamReader) -> list[int]:
            line = await answers.readline()
            if not line.endswith(b"\n"):
                raise EOFError("it ended")
            counts = [int(word) for word in line.split()]
            if len(counts) != len(texts) or min(counts, default=0) < 0:
                raise ValueError("it counted something else")
            return counts

        sizes = " ".join(str(len(text)) for text in texts)
        head = f"{encoding} {sizes}\n".encode()
        return await self._worker.ask([head, *texts], receive, asker=asker)

    async def close(self) -> None:
        """End the process; who still waits gets no count. Takes no longer than killing it."""
        await self._worker.close()

    @property
    def worker_pid(self) -> int | None:
        """The process, while there is one."""
        return self._worker.pid
