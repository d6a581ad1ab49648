"""
Counts tokens exactly, in a process of its own.

The process is started when first something is to be counted and ends after a while without work, so that an idle
server carries no vocabulary. One job runs at a time; those who wait take turns, asker by asker. Every job has a
deadline and every queue a size, beyond which there is no count: the caller then goes by its byte bound. A process that
dies, or that takes too long with a job, is ended and a new one is started for the next job; after several such in a
row only after a pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tuckshop.domain.clock import Clock
from tuckshop.tasks import spawn
from tuckshop.tokenizing import worker

_log: Final = logging.getLogger(__name__)

COMMAND: Final = (sys.executable, "-I", worker.__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountLimits:
    """What counting may cost."""

    text_max_bytes: int = 1 << 20  # of one call; also all that one asker may have waiting
    waiting_max_bytes: int = 16 << 20
    wait_s: float = 6.0  # for a count, start of the process and the queue included
    job_s: float = 5.0  # of the process for one job, loading the vocabulary included
    idle_s: float = 300.0  # without work until the process ends
    pause_max_s: float = 60.0  # after a row of failures


@dataclass(slots=True)
class _Job:
    encoding: str
    texts: Sequence[bytes]
    counts: asyncio.Future[list[int] | None]


class TokenCounter:
    """One per server. Belongs to one event loop."""

    def __init__(
        self,
        *,
        clock: Clock,
        limits: CountLimits | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._clock = clock
        self._limits = limits or CountLimits()
        self._command = command
        self._process: Process | None = None
        self._waiting: dict[str, deque[_Job]] = {}  # by asker; whose turn it is stands first
        self._bytes_of: Counter[str] = Counter()
        self._work = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        self._failures = 0  # in a row
        self._not_before_s = 0.0

    async def count(self, encoding: str, texts: Sequence[bytes], *, asker: str) -> list[int] | None:
        """
        How many tokens each of *texts*, in UTF-8, is; None where that cannot be told in time.

        Args:
            asker: Who it is done for. Those who ask little never wait long for one who asks much.
        """
        size = sum(map(len, texts))
        if not self._takes(size, asker):
            return None
        job = _Job(encoding, texts, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(asker, deque()).append(job)
        self._bytes_of[asker] += size
        self._work.set()
        if not self._tasks:
            spawn(self._run(), name="count tokens", tasks=self._tasks)
        try:
            async with asyncio.timeout(self._limits.wait_s):
                return await job.counts
        except TimeoutError:
            return None
        finally:
            self._bytes_of[asker] -= size
            if not self._bytes_of[asker]:
                del self._bytes_of[asker]

    async def close(self) -> None:
        """End the process; who still waits gets no count. Takes no longer than killing it."""
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def worker_pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    def _takes(self, size: int, asker: str) -> bool:
        limits = self._limits
        return (
            not self._is_closed
            and self._bytes_of[asker] + size <= limits.text_max_bytes
            and self._bytes_of.total() + size <= limits.waiting_max_bytes
            and self._clock.monotonic_s() >= self._not_before_s
        )

    async def _run(self) -> None:
        """Do what is asked for, in turn."""
        try:
            while True:
                job = self._next()
                if job is not None:
                    await self._do(job)
                    continue
                self._work.clear()
                try:
                    async with asyncio.timeout(self._limits.idle_s if self._process else None):
                        await self._work.wait()
                except TimeoutError:
                    await self._end_process()
        finally:
            self._give_up_all()
            await self._end_process()

    def _next(self) -> _Job | None:
        while self._waiting:
            asker = next(iter(self._waiting))
            jobs = self._waiting.pop(asker)
            job = jobs.popleft()
            if jobs:
                self._waiting[asker] = jobs  # behind all others
            if not job.counts.done():  # else nobody waits for it any more
                return job
        return None

    async def _do(self, job: _Job) -> None:
        counts: list[int] | None = None
        try:
            async with asyncio.timeout(self._limits.job_s):
                process = self._process or await self._start()
                counts = await _ask(process, job)
        except (OSError, EOFError, ValueError) as error:  # also the deadline: a TimeoutError
            self._failures += 1
            _log.warning(
                "the process that counts tokens failed (%s); calls go by their byte bound meanwhile",
                type(error).__name__,
            )
            # One may be an accident. What cannot start, and a text that kills it, come again.
            pause_s = 0.0 if self._failures == 1 else 2.0 ** min(self._failures - 1, 10)
            pause_s = min(pause_s, self._limits.pause_max_s)
            self._not_before_s = self._clock.monotonic_s() + pause_s
            await self._end_process()
            if pause_s:
                self._give_up_all()
        else:
            self._failures = 0
        finally:
            if not job.counts.done():
                job.counts.set_result(counts)

    def _give_up_all(self) -> None:
        for jobs in self._waiting.values():
            for job in jobs:
                if not job.counts.done():
                    job.counts.set_result(None)
        self._waiting.clear()

    async def _start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # a traceback may quote what people wrote
            env={},  # no credential goes there
            start_new_session=True,  # Ctrl-C in the server's terminal is the server's
            limit=1 << 20,
        )
        self._process = process
        _log.debug("counting tokens in process %d", process.pid)
        return process

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            process.kill()
        await process.wait()


async def _ask(process: Process, job: _Job) -> list[int]:
    assert process.stdin is not None
    assert process.stdout is not None
    sizes = " ".join(str(len(text)) for text in job.texts)
    process.stdin.write(f"{job.encoding} {sizes}\n".encode())
    process.stdin.writelines(job.texts)
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError("it ended")
    counts = [int(word) for word in line.split()]
    if len(counts) != len(job.texts) or min(counts, default=0) < 0:
        raise ValueError("it counted something else")
    return counts
