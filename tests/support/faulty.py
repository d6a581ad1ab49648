"""
`python -m tests.support.faulty serve`: the real server, in which things fail with all they know in their words.

The product knows nothing of it: its functions are wrapped from outside. A call says by its tag where it fails
(`fail:POINT`), an admin call by the word FAIL in what it sends. The error that is raised then is made of everything
that was handed to the function, which is more than any error of ours would say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.support.failpoints import wrap
from tuckshop.cli.main import main
from tuckshop.gateway.admission import Admission
from tuckshop.gateway.dispatch import Dispatcher
from tuckshop.gateway.moderation.moderator import Moderator
from tuckshop.gateway.relay import Relay
from tuckshop.gateway.resolution import Resolution
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.members import Members

FAIL: Final = "fail-here"
MARK: Final = "fail:"
POINTS: Final = (
    "admit", "reserve", "rewriting", "dispatch", "on_head", "on_data", "charge_reported", "check_beside",
    "_look_beside",
)  # fmt: skip


def fail(*known: Any) -> None:
    """An error whose words are all that is known."""
    try:
        b"\xff".decode()
    except UnicodeDecodeError as error:
        raise KeyError(" ".join(map(str, known))) from error


def fail_before(owner: Any, name: str, tag_of: Callable[..., str | None]) -> None:
    def around(original: Any, *arguments: Any, **named: Any) -> Any:
        if tag_of(*arguments, **named) == MARK + name:
            fail(*arguments, *named.values())
        return original(*arguments, **named)

    wrap(owner, name, around)


def _calls() -> None:
    fail_before(Admission, "admit", lambda _, arrival, *more: arrival.tag)
    fail_before(Ledger, "reserve", lambda _, hold: hold.tag)
    for name in ("rewriting", "dispatch"):
        fail_before(Dispatcher, name, lambda _, call, *more: call.tag)
    for name in ("check_beside", "_look_beside"):
        fail_before(Moderator, name, lambda _, call, *more: call.tag)
    for name in ("on_head", "on_data"):
        fail_before(Relay, name, lambda relay, *more: relay.call.tag)
    fail_before(Resolution, "charge_reported", lambda ending, *more, **named: ending.call.tag)


def _staff(original: Any, *arguments: Any, **named: Any) -> Any:
    if FAIL in str((arguments, named)):
        fail(*arguments, *named.values())
    return original(*arguments, **named)


if __name__ == "__main__":
    _calls()
    for verb in ("add", "change", "page"):
        wrap(Members, verb, _staff)
    main()
