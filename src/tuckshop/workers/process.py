"""
A process of its own for work that would hold up the loop.

It is started when first something is to be done and ends after a while without work, so that an idle server pays
nothing for it. One job runs at a time; those who wait take turns, asker by asker. Every job has a deadline and every
queue a size, beyond which there is no answer: the caller knows what to do without. A process that dies, or that takes
too long with a job, is ended and a new one is started for the next job; after several such in a row only after a pause:
of the asker whose jobs they were, so that nobody can shut others out with what kills the process; of all, if they were
of several.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tuckshop.domain.clock import Clock
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What the work may cost."""

    asker_max_bytes: int  # all that one asker may have waiting
    waiting_max_bytes: int
    wait_s: float  # for an answer, start of the process and the queue included
    job_s: float  # of the process for one job, whatever it has to load first included
    idle_s: float  # without work until the process ends
    pause_max_s: float = 60.0  # after a row of failures


@dataclass(slots=True)
class _Job:
    asker: str
    request: Sequence[bytes]
    receive: Callable[[asyncio.StreamReader], Awaitable[Any]]
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class _Failures:
    """So many in a row, and when the next try may be."""

    number: int = 0
    pause_until_s: float = 0.0

    def count(self, now_s: float, pause_max_s: float) -> None:
        self.number += 1
        # One may be an accident. What cannot start, and a request that kills it, come again.
        if self.number > 1:
            self.pause_until_s = now_s + min(2.0 ** min(self.number - 1, 10), pause_max_s)


_NO_FAILURES: Final = _Failures()


class WorkerProcess:
    """
    One process, and the queue before it. Belongs to one event loop.

    Args:
        name: What it does, for the log: "counts tokens".
        command: Reads requests on its standard input and answers each on its standard output, until the input ends.
    """

    def __init__(
        self, *, name: str, command: Sequence[str], clock: Clock, limits: WorkerLimits
    ) -> None:
        self._name = name
        self._command = command
        self._clock = clock
        self._limits = limits
        self._process: Process | None = None
        self._waiting: dict[str, deque[_Job]] = {}  # by asker; whose turn it is stands first
        self._bytes_of: Counter[str] = Counter()
        self._work = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        # In a row: how often, and until when it pauses. By asker, and of all: there only changes of the asker count.
        self._failures_of: dict[str, _Failures] = {}
        self._failures = _Failures()
        self._failed_last: str | None = None

    async def ask(
        self,
        request: Sequence[bytes],
        receive: Callable[[asyncio.StreamReader], Awaitable[_T]],
        *,
        asker: str,
    ) -> _T | None:
        """
        What *receive* makes of the answer to *request*; None where there is none in time.

        Args:
            request: Pieces of bytes, written one behind the other.
            receive: Reads the answer; raises ValueError or EOFError where it is none.
            asker: Who it is done for. Those who ask little never wait long for one who asks much.
        """
        size = sum(map(len, request))
        if not self._takes(size, asker):
            return None
        answer: asyncio.Future[_T | None] = asyncio.get_running_loop().create_future()
        job = _Job(asker, request, receive, answer)
        self._waiting.setdefault(asker, deque()).append(job)
        self._bytes_of[asker] += size
        self._work.set()
        if not self._tasks:
            spawn(self._run(), name=self._name, tasks=self._tasks)
        try:
            async with asyncio.timeout(self._limits.wait_s):
                return await answer
        except TimeoutError:
            return None
        finally:
            self._bytes_of[asker] -= size
            if not self._bytes_of[asker]:
                del self._bytes_of[asker]

    async def close(self) -> None:
        """End the process; who still waits gets no answer. Takes no longer than killing it."""
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    def _takes(self, size: int, asker: str) -> bool:
        limits = self._limits
        return (
            not self._is_closed
            and self._bytes_of[asker] + size <= limits.asker_max_bytes
            and self._bytes_of.total() + size <= limits.waiting_max_bytes
            and not self._is_paused(asker)
        )

    def _is_paused(self, asker: str) -> bool:
        now_s = self._clock.monotonic_s()
        own = self._failures_of.get(asker, _NO_FAILURES)
        return now_s < max(own.pause_until_s, self._failures.pause_until_s)

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
            self._give_up(list(self._waiting))
            await self._end_process()

    def _next(self) -> _Job | None:
        while self._waiting:
            asker = next(iter(self._waiting))
            jobs = self._waiting.pop(asker)
            job = jobs.popleft()
            if jobs:
                self._waiting[asker] = jobs  # behind all others
            if not job.answer.done():  # else nobody waits for it any more
                return job
        return None

    async def _do(self, job: _Job) -> None:
        answer = None
        try:
            async with asyncio.timeout(self._limits.job_s):
                process = await self._alive() or await self._start()
                answer = await _exchange(process, job)
        # Also the deadline, a TimeoutError; and what uvloop raises where the process died a moment ago.
        except (OSError, EOFError, ValueError, RuntimeError) as error:
            _log.warning("the process that %s failed (%s)", self._name, type(error).__name__)
            self._count_failure(job.asker)
            await self._end_process()
            self._give_up([asker for asker in self._waiting if self._is_paused(asker)])
        else:
            self._failures_of.pop(job.asker, None)
            self._failures, self._failed_last = _Failures(), None
        finally:
            if not job.answer.done():
                job.answer.set_result(answer)

    def _count_failure(self, asker: str) -> None:
        now_s, most_s = self._clock.monotonic_s(), self._limits.pause_max_s
        self._failures_of.setdefault(asker, _Failures()).count(now_s, most_s)
        if asker != self._failed_last:
            self._failures.count(now_s, most_s)
            self._failed_last = asker

    def _give_up(self, askers: Sequence[str]) -> None:
        for asker in askers:
            for job in self._waiting.pop(asker):
                if not job.answer.done():
                    job.answer.set_result(None)

    async def _alive(self) -> Process | None:
        """The process; None where there is none, be it that it died while it had nothing to do."""
        process = self._process
        if process is not None and (
            process.returncode is not None or process.stdin is None or process.stdin.is_closing()
        ):
            await self._end_process()
        return self._process

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
        _log.debug("process %d %s", process.pid, self._name)
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


async def _exchange(process: Process, job: _Job) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.writelines(job.request)
    await process.stdin.drain()
    return await job.receive(process.stdout)
