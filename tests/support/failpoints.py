"""
`python -m tests.support.failpoints POINT serve`: the real server, killed with SIGKILL at one point of a marked call.

The product knows nothing of it: its functions are wrapped from outside, and a call is marked by its tag (MARK). The
points lie between each two states that a request goes through, and on both sides of each commit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from tuckshop.cli.main import main
from tuckshop.domain.reservation import Granted, Settlement, Void
from tuckshop.edge.head import RequestHead
from tuckshop.gateway.dispatch import Dispatcher
from tuckshop.gateway.gateway import Gateway
from tuckshop.gateway.moderation.answer_check import AnswerCheck
from tuckshop.gateway.moderation.moderator import Moderator
from tuckshop.gateway.relay import Relay
from tuckshop.gateway.resolution import Resolution
from tuckshop.ledger import recovery
from tuckshop.ledger.engine import Engine
from tuckshop.ledger.ledger import Ledger
from tuckshop.ledger.operations import Reserve
from tuckshop.storage.batch import Answer, Submission
from tuckshop.storage.session import WriterSession

MARK: Final = "kill-here"


def die() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon(seconds: float) -> None:
    """The same, once the loop has sent what it is about to send."""
    asyncio.get_running_loop().call_later(seconds, die)


def is_marked_head(head: RequestHead) -> bool:
    return (b"x-tuckshop-tag", MARK.encode()) in head.headers


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace `owner.name` by *around*, which gets the original first."""
    original = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        return around(original, *arguments, **named)

    setattr(owner, name, wrapped)


# ── on the loop: from the head to the hand-over of the resolution ─────────────────────────────────────────────────


def received() -> None:
    def admit_head(original: Any, gateway: Gateway, head: RequestHead) -> Any:
        if is_marked_head(head):
            die()
        return original(gateway, head)

    wrap(Gateway, "admit_head", admit_head)


def authenticated() -> None:
    def handle(original: Any, gateway: Gateway, exchange: Any) -> Any:
        if exchange.context.tag == MARK:
            die()
        return original(gateway, exchange)

    wrap(Gateway, "handle", handle)


def policy() -> None:
    def reserve(original: Any, ledger: Ledger, hold: Any) -> Any:
        if hold.tag == MARK:
            die()
        return original(ledger, hold)

    wrap(Ledger, "reserve", reserve)


def reserved() -> None:
    def dispatch(original: Any, dispatcher: Dispatcher, call: Any, *more: Any) -> None:
        if call.tag == MARK:
            die()
        original(dispatcher, call, *more)

    wrap(Dispatcher, "dispatch", dispatch)


def unjudged() -> None:
    """Its hold is taken, and the verdict on what it asks is not there."""

    async def contents(original: Any, moderator: Moderator, call: Any, *more: Any) -> Any:
        if call.tag == MARK:
            die_soon(0.0)
        return await original(moderator, call, *more)

    wrap(Moderator, "_contents", contents)


def dispatched_unsent() -> None:
    """The request is with the transport; maybe no byte has left."""

    def start(original: Any, relay: Relay, upstream: Any) -> None:
        original(relay, upstream)
        if relay.call.tag == MARK:
            die()

    wrap(Relay, "start", start)


def dispatched() -> None:
    """The upstream has the whole request, and has said nothing yet."""

    def start(original: Any, relay: Relay, upstream: Any) -> None:
        original(relay, upstream)
        if relay.call.tag == MARK:
            die_soon(0.2)

    wrap(Relay, "start", start)


def first_byte() -> None:
    """The upstream has begun to answer, the client knows nothing of it."""

    def on_head(original: Any, relay: Relay, *more: Any) -> None:
        if relay.call.tag == MARK:
            die()
        original(relay, *more)

    wrap(Relay, "on_head", on_head)


def streaming() -> None:
    """The client has the first piece."""

    def on_data(original: Any, relay: Relay, data: bytes) -> None:
        original(relay, data)
        if relay.call.tag == MARK:
            die_soon(0.05)

    wrap(Relay, "on_data", on_data)


def unpassed() -> None:
    """Some of the answer is there, and the client has none of it: the verdict on it is not there yet."""

    async def judge(original: Any, check: AnswerCheck, *more: Any) -> Any:
        if check._call.tag == MARK:
            die()
        return await original(check, *more)

    wrap(AnswerCheck, "judge", judge)


def before_hand_over() -> None:
    """The outcome is known, and told to nobody."""

    def resolve(original: Any, resolution: Resolution, end: Settlement | Void) -> None:
        if resolution.call.tag == MARK:
            die()
        original(resolution, end)

    wrap(Resolution, "_resolve", resolve)


# ── on the writer's thread: around the commit ─────────────────────────────────────────────────────────────────────


def at_commit(of: type[Reserve | Settlement | Void], *, after: bool) -> None:
    """The marked call's reservation or resolution is in the batch: die before the batch's commit, or right after it."""
    marked: set[str] = set()
    is_in_batch = False

    def apply(original: Any, engine: Engine, submissions: Sequence[Submission]) -> Iterable[Answer]:
        nonlocal is_in_batch
        answers = list(original(engine, submissions))
        for submission, answer in answers:
            operation = submission.operation
            if isinstance(operation, Reserve):
                if operation.hold.tag == MARK and isinstance(answer, Granted):
                    marked.add(operation.hold.request_id)
                    is_in_batch = is_in_batch or of is Reserve
            elif isinstance(operation, Settlement | Void) and isinstance(operation, of):
                is_in_batch = is_in_batch or operation.request_id in marked
        return answers

    def commit(original: Any, session: WriterSession) -> None:
        if is_in_batch and not after:
            die()
        original(session)
        if is_in_batch:
            die()

    wrap(Engine, "apply", apply)
    wrap(WriterSession, "commit", commit)


def at_recovery(*, after: bool) -> None:
    """A start that has settled what earlier boots left: die before its commit, or right after it."""
    is_in_batch = False

    def settle_leftovers(original: Any, *more: Any) -> Any:
        nonlocal is_in_batch
        count = original(*more)
        is_in_batch = count > 0
        return count

    def commit(original: Any, session: WriterSession) -> None:
        if is_in_batch and not after:
            die()
        original(session)
        if is_in_batch:
            die()

    wrap(recovery, "settle_leftovers", settle_leftovers)
    wrap(WriterSession, "commit", commit)


POINTS: Final[dict[str, Callable[[], None]]] = {
    "received": received,
    "authenticated": authenticated,
    "policy": policy,
    "reserve-before-commit": lambda: at_commit(Reserve, after=False),
    "reserve-after-commit": lambda: at_commit(Reserve, after=True),
    "unjudged": unjudged,
    "reserved": reserved,
    "dispatched-unsent": dispatched_unsent,
    "dispatched": dispatched,
    "first-byte": first_byte,
    "streaming": streaming,
    "unpassed": unpassed,
    "settle-before-hand-over": before_hand_over,
    "settle-before-commit": lambda: at_commit(Settlement, after=False),
    "settle-after-commit": lambda: at_commit(Settlement, after=True),
    "void-before-hand-over": before_hand_over,
    "void-before-commit": lambda: at_commit(Void, after=False),
    "void-after-commit": lambda: at_commit(Void, after=True),
    "recovery-before-commit": lambda: at_recovery(after=False),
    "recovery-after-commit": lambda: at_recovery(after=True),
}

if __name__ == "__main__":
    POINTS[sys.argv.pop(1)]()
    main()
