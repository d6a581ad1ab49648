"""Which bodies are large, and who reads those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from tuckshop.domain.rules.rules import Finding, Rules
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.json_body import value_marks
from tuckshop.protocols.openai.body import BodyFacts
from tuckshop.protocols.openai.contents import Contents
from tuckshop.protocols.openai.long_texts import LongText
from tuckshop.protocols.openai.outgoing import Profile, Rewriting

OFF_LOOP_BYTES: Final = 256 << 10  # text: a millisecond or two
OFF_LOOP_VALUES: Final = 8 << 10  # numbers that keep their spelling: twenty


class LargeBodies(Protocol):
    """
    Reads bodies where it holds up nobody. *asker* is whom it is done for, so that all get their turn.

    Raises ServerBusyError where that cannot be done in time.
    """

    async def understand(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        pass_unknown: bool,
        rules: Rules | None,
        asker: str,
    ) -> tuple[BodyFacts, tuple[Finding, ...]]:
        """The facts of *body* and what *rules* find in it, or the refusal that reading it comes to."""

    async def texts(
        self, endpoint: Endpoint, body: bytes, *, rules: Rules | None, asker: str
    ) -> Sequence[LongText]:
        """The texts of *body* that are worth counting exactly."""

    async def rewrite(
        self,
        endpoint: Endpoint,
        body: bytes,
        how: Rewriting,
        *,
        rules: Rules | None,
        asker: str,
    ) -> bytes:
        """The body to be sent, changed as *rules* say."""

    async def contents(
        self, endpoint: Endpoint, body: bytes, *, profile: Profile, asker: str
    ) -> Contents:
        """All that a *body* says that is about to be sent."""


def is_large(body: bytes) -> bool:
    """Would reading *body* hold up the loop? A few kilobytes of numbers do as much as a megabyte of text."""
    return len(body) > OFF_LOOP_BYTES or (
        len(body) > OFF_LOOP_VALUES and value_marks(body) > OFF_LOOP_VALUES
    )
