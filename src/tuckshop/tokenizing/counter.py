"""Counts and decodes tokens, in a process of its own: an idle server carries no vocabulary, and none stops its loop."""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections.abc import Sequence
from typing import Final

from tuckshop.domain.clock import Clock
from tuckshop.tokenizing import worker
from tuckshop.workers.process import WorkerLimits, WorkerProcess

DECODED_MAX: Final = 300_000  # tokens of one call, as many as any takes
COMMAND: Final = (sys.executable, "-I", worker.__file__)
LIMITS: Final = WorkerLimits(
    # Also the most of one call: a mebibyte of text and its sizes, or DECODED_MAX tokens.
    asker_max_bytes=10 << 17,
    waiting_max_bytes=16 << 20,
    wait_s=6.0,
    job_s=5.0,
    idle_s=300.0,
)
_NO_TOKEN: Final = (1 << 32) - 1
_TOKEN_MAX_BYTES: Final = 1 << 10  # of text; the longest of a vocabulary has 128


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
        head = f"count {encoding} {sizes}\n".encode()
        return await self._worker.ask([head, *texts], receive, asker=asker)

    async def decode(
        self, encoding: str, tokens: Sequence[Sequence[int]], *, asker: str
    ) -> list[str | None] | None:
        """
        The text of each of *tokens*, with replacement characters where one is cut in the middle of a character.

        Args:
            tokens: Their numbers, at most `DECODED_MAX` in all.
            asker: Who it is done for. Those who ask little never wait long for one who asks much.
        Returns:
            None in place of a text where one of the numbers is no token; None of all where it cannot be told in time.
        """
        # Beyond any vocabulary, but within what the process is sent.
        numbers = [array("I", [min(one, _NO_TOKEN) for one in some]) for some in tokens]

        async def receive(answers: asyncio.StreamReader) -> list[str | None]:
            line = await answers.readline()
            if not line.endswith(b"\n"):
                raise EOFError("it ended")
            sizes = [int(word) for word in line.split()]
            if len(sizes) != len(numbers) or sum(map(len, numbers)) * _TOKEN_MAX_BYTES < sum(sizes):
                raise ValueError("it decoded something else")
            return [
                None if size < 0 else (await answers.readexactly(size)).decode() for size in sizes
            ]

        sizes = " ".join(str(4 * len(some)) for some in numbers)
        head = f"decode {encoding} {sizes}\n".encode()
        pieces = [head, *(some.tobytes() for some in numbers)]
        return await self._worker.ask(pieces, receive, asker=asker)

    async def close(self) -> None:
        """End the process; who still waits gets no count. Takes no longer than killing it."""
        await self._worker.close()

    @property
    def worker_pid(self) -> int | None:
        """The process, while there is one."""
        return self._worker.pid
