"""
Reads large bodies in a process of its own.

To parse 20 MiB of JSON takes the interpreter for a tenth of a second, or for ten where they are many small values. In a
thread, too, nothing else runs for most of that time. So the server only carries the bytes there and back.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from tuckshop.bodies import worker
from tuckshop.bodies.job import Answer, Job, Task, to_answer, to_bytes
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import (
    InvalidRequestBodyError,
    ParameterNotAllowedError,
    RefusalError,
    ServerBusyError,
    SystemMessageNotAllowedError,
)
from tuckshop.domain.rules.rules import Finding, Rules
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai.body import BodyFacts, BodyLimits
from tuckshop.protocols.openai.contents import Contents
from tuckshop.protocols.openai.long_texts import LongText
from tuckshop.protocols.openai.outgoing import Profile, Rewriting
from tuckshop.workers.process import WorkerLimits, WorkerProcess

COMMAND: Final = (sys.executable, "-I", worker.__file__)
ANSWER_MAX_BYTES: Final = 1 << 28
LIMITS: Final = WorkerLimits(
    asker_max_bytes=1 << 30,  # the edge bounds all bodies together
    waiting_max_bytes=1 << 30,
    wait_s=60.0,
    job_s=20.0,
    idle_s=60.0,
)


class BodyReader:
    """One per server. Belongs to one event loop."""

    def __init__(
        self,
        *,
        clock: Clock,
        body_limits: BodyLimits,
        limits: WorkerLimits = LIMITS,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._body_limits = body_limits
        self._worker = WorkerProcess(
            name="reads large bodies", command=command, clock=clock, limits=limits
        )

    async def understand(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        pass_unknown: bool,
        asker: str,
        rules: Rules | None = None,
    ) -> tuple[BodyFacts, tuple[Finding, ...]]:
        """
        `facts.understand` of *body*, after *rules* were held against it, and what they found.

        Args:
            asker: Whose call it is. Those who send little never wait long for one who sends much.
        Raises:
            InvalidRequestBodyError, ParameterNotAllowedError, SystemMessageNotAllowedError: As there.
            ServerBusyError: It cannot be read now.
        """
        answer = await self._ask(
            "understand", endpoint, body, asker, pass_unknown=pass_unknown, rules=rules
        )
        if answer.facts is None:
            raise _busy()
        return answer.facts, answer.findings

    async def texts(
        self, endpoint: Endpoint, body: bytes, *, asker: str, rules: Rules | None = None
    ) -> Sequence[LongText]:
        """`long_texts` of a *body* that was understood; raises ServerBusyError."""
        return (await self._ask("texts", endpoint, body, asker, rules=rules)).texts

    async def rewrite(
        self,
        endpoint: Endpoint,
        body: bytes,
        how: Rewriting,
        *,
        asker: str,
        rules: Rules | None = None,
    ) -> bytes:
        """The body to be sent for a *body* that was understood; raises ServerBusyError."""
        answer = await self._ask("rewrite", endpoint, body, asker, rewriting=how, rules=rules)
        return body if answer.body is None else answer.body

    async def contents(
        self, endpoint: Endpoint, body: bytes, *, profile: Profile, asker: str
    ) -> Contents:
        """`contents_of` a *body* that is about to be sent; raises ServerBusyError."""
        answer = await self._ask("contents", endpoint, body, asker, profile=profile)
        if answer.contents is None:
            raise _busy()
        return answer.contents

    async def close(self) -> None:
        """End the process; whose body is still to be read is told that the server is busy."""
        await self._worker.close()

    @property
    def worker_pid(self) -> int | None:
        """The process, while there is one."""
        return self._worker.pid

    async def _ask(
        self,
        task: Task,
        endpoint: Endpoint,
        body: bytes,
        asker: str,
        *,
        pass_unknown: bool = True,
        rewriting: Rewriting | None = None,
        rules: Rules | None = None,
        profile: Profile = "openai",
    ) -> Answer:
        job = to_bytes(
            Job(
                task=task,
                endpoint=endpoint.name,
                limits=self._body_limits,
                pass_unknown=pass_unknown,
                rewriting=rewriting,
                rules=rules,
                profile=profile,
            )
        )
        head = b"%d %d\n" % (len(job), len(body))
        answer = await self._worker.ask([head, job, body], _receive, asker=asker)
        if answer is None:
            raise _busy()
        if answer.refusal is not None:
            code, facts = answer.refusal
            raise _REFUSALS[code](*facts)
        return answer


_REFUSALS: Final[Mapping[str, Callable[..., RefusalError]]] = {
    error.code: error
    for error in (InvalidRequestBodyError, ParameterNotAllowedError, SystemMessageNotAllowedError)
}


async def _receive(answers: asyncio.StreamReader) -> Answer:
    size = int(await answers.readline())
    if size > ANSWER_MAX_BYTES:
        raise ValueError("it says too much")
    raw = await answers.readexactly(size)
    try:
        return to_answer(raw)
    except msgspec.DecodeError as error:
        raise ValueError("it says what is no answer") from error


def _busy() -> ServerBusyError:
    return ServerBusyError("large bodies cannot be read just now")
