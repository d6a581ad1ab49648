"""How a reply departs from what a healthy provider does: plain data, so that a fault is a row and not a branch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reply instead of the answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    bills: bool = False  # whether the answer was generated and billed all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The departures of one reply. The defaults are a healthy one."""

    refusal: Refusal | None = None
    before_head: Literal["close", "reset", "hang"] | None = None
    after_head: Literal["reset", "hang"] | None = None
    midway: (
        Literal["reset", "close", "stop", "hang", "garbage", "error-event", "broken-json"] | None
    ) = None
    after_reply: Literal["close", "stray"] | None = None
    first_delay_s: float = 0.0
    usage_place: Literal["last", "finish", "every", "absent"] = "last"
    usage_value: str | None = None  # a key of faults.ODD_USAGE
    verdict_value: str | None = None  # a key of moderations.ODD_VERDICTS
    fails: bool = False  # a response says at its end that it failed
    model: str | None = None
    service_tier: str | None = None
    crlf: bool = False
    comments: bool = False
    many_lines: bool = False  # an event's data on several `data:` lines
    piece_bytes: int = 0  # the most that is sent at once
    piece_gap_s: float = 0.0
    gather: bool = False  # the whole stream in one write
    gzip: bool = False
    padding_bytes: int = 0  # added to the text of the answer
    framing: Literal["usual", "until-close", "cut-short"] = "usual"
    extra_headers: tuple[tuple[str, str], ...] = ()
    hints_first: bool = False  # a 103 before the reply
    lockstep: bool = False
    # Given by markers and model names rather than by faults:
    at: int | None = None  # in how many events, or bytes, `midway` comes
    tokens_per_second: float | None = None

    @property
    def departs(self) -> bool:
        """Whether more than the speed is unusual."""
        return replace(self, first_delay_s=0.0, tokens_per_second=None, at=None) != _HEALTHY


_HEALTHY: Final = Script()
