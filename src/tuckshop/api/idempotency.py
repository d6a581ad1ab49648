"""
`Idempotency-Key`: the name that a client gives to a call that makes something, so that it may send it again.

What the name is good for is decided in the transaction that makes the thing (`services/once.py`). Here it is read, and
two calls of one name are let through one after the other.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import Request

from tuckshop.api.problems import FieldProblem, ProblemError
from tuckshop.domain.actor import Actor
from tuckshop.services.once import Once
from tuckshop.storage.audit import actor_text

HEADER: Final = "idempotency-key"
WAIT_S: Final = 30.0  # for the same call, which is being done
KEY_PATTERN: Final = r"[ -~]{1,255}"  # visible ASCII and blanks
_KEY: Final = re.compile(KEY_PATTERN)


def claim_of(request: Request, body: bytes, media_type: str) -> Once | None:
    """
    The name of a call, and what it asks for; None: it has none.

    Raises:
        ProblemError: 422: it is stated twice, or is no name.
    """
    values = request.headers.getlist(HEADER)
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise ProblemError(
            422,
            "Idempotency-Key: expected one of 1 to 255 visible ASCII characters.",
            errors=[FieldProblem("Idempotency-Key", "expected 1 to 255 visible ASCII characters")],
        )
    asked = hashlib.sha256()
    for piece in (
        request.method.encode(),
        request.url.path.encode(),
        request.scope["query_string"],
        media_type.encode(),
        body,
    ):
        asked.update(b"%d:" % len(piece) + piece)
    return Once(digest=hashlib.sha256(values[0].encode()).digest(), request_hash=asked.digest())


class OneAtATime:
    """Lets calls of one name through one after the other. Used on the event loop alone."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, bytes], asyncio.Lock] = {}
        self._users: dict[tuple[str, bytes], int] = {}

    @asynccontextmanager
    async def turn(self, actor: Actor, claim: Once | None) -> AsyncIterator[None]:
        """
        Wait for a call of the same name that is being done.

        Raises:
            ProblemError: 409: it takes too long.
        """
        if claim is None:
            yield
            return
        name = actor_text(actor), claim.digest
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._users[name] = self._users.get(name, 0) + 1
        try:
            try:
                await asyncio.wait_for(lock.acquire(), WAIT_S)
            except TimeoutError:
                raise ProblemError(
                    409,
                    "A call with this Idempotency-Key is still being done: repeat it a little later.",
                    headers={"retry-after": "5"},
                ) from None
            try:
                yield
            finally:
                lock.release()
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name], self._locks[name]
