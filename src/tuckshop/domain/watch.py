"""What happens, told to whoever counts it: no names, no keys, no ids (K17)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

Alarm = Literal[
    "overrun",  # a call was charged more than was held for it
    "implausible_usage",  # the upstream told a usage that cannot be
    "unconfirmed",  # a call was charged its bound, because nobody knows what it used
    "no_charges",  # calls are sent, and none is charged anything
    "estimated_share",  # too many of a day's calls are charged without usage
    "flags_lost",  # flags could not be written down
    "upstream_auth",  # the upstream refuses our credential
    "upstream_money",  # the account at the upstream is out of money
    "clock",  # nothing is admitted, and why
    "space",
    "locked",
    "full",
    "device",
    "final",
]


# What became of a call, or of an answer, that was to be checked.
Moderated = Literal[
    "passed",
    "noted",
    "blocked",
    "refused",  # it holds what cannot be checked
    "unavailable",  # refused because there was no verdict
    "unchecked",  # passed without a verdict
    "dropped",  # not checked, because too many already were to be
]
# What became of a question to a moderation service.
Asked = Literal["answered", "rate_limited", "failed"]


class Ended(NamedTuple):
    """A call that was settled or voided."""

    endpoint_group: str
    model: str  # of the price list, or ""
    status: int | None  # what the client was answered; None: it had left
    input_tokens: int
    cached_tokens: int  # among them
    output_tokens: int
    cost_nano: int
    is_settled: bool  # False: voided
    is_guessed: bool  # charged otherwise than by a usage that could be relied on


class Watch(Protocol):
    """Counts. Every method returns at once, and may be called from the loop or from the writer's thread."""

    def dispatched(self) -> None:
        """A call that has a price is on its way to the upstream."""

    def refused(self, code: str) -> None:
        """A call was refused."""

    def ended(self, calls: Sequence[Ended]) -> None:
        """These ended, and it is committed."""

    def committed(self, size: int, seconds: float) -> None:
        """A batch of *size* submissions is durable, after so long."""

    def moderated(self, outcome: Moderated) -> None:
        """A check came to its end."""

    def moderation_asked(self, outcome: Asked) -> None:
        """A question to a moderation service did."""

    def alarm(self, alarm: Alarm, count: int = 1) -> None:
        """Somebody should look."""


class Unwatched:
    """A `Watch` that counts nothing."""

    def dispatched(self) -> None:
        """Nothing."""

    def refused(self, code: str) -> None:
        """Nothing."""

    def ended(self, calls: Sequence[Ended]) -> None:
        """Nothing."""

    def committed(self, size: int, seconds: float) -> None:
        """Nothing."""

    def moderated(self, outcome: Moderated) -> None:
        """Nothing."""

    def moderation_asked(self, outcome: Asked) -> None:
        """Nothing."""

    def alarm(self, alarm: Alarm, count: int = 1) -> None:
        """Nothing."""
