"""What a reply that is not streamed says about itself: usage, the model that answered, the tier."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from tuckshop.domain.usage import Usage
from tuckshop.protocols.openai.usage import UNREADABLE, decode_usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFacts:
    """Each None where the reply does not say, or says it in a form that nobody can read."""

    usage: Usage | None
    model: str | None
    service_tier: str | None


class _Reply(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw(b"null")
    model: str | None = None
    service_tier: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Reply)
_TAIL_TRIES: Final = 4  # each may decode the whole tail
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')


def usage_of(body: bytes) -> ReplyFacts | None:
    """The facts of the whole *body*; None: it is no JSON object."""
    try:
        reply = _DECODER.decode(body)
    except UNREADABLE:
        return None
    return ReplyFacts(
        usage=decode_usage(reply.usage), model=reply.model, service_tier=reply.service_tier
    )


def usage_of_tail(tail: bytes) -> ReplyFacts | None:
    """
    The facts that stand at the end of a reply of which only *tail* was kept; None: no usage there.

    From the name `usage` on, the rest must be the end of one object: so the name stands at its top level. Within a
    text it cannot be met, since JSON writes the quotes of a text with a backslash.
    """
    starts = [match.start() for match in _USAGE.finditer(tail)]
    for start in reversed(starts[-_TAIL_TRIES:]):
        facts = usage_of(b"{" + tail[start:])
        if facts is not None:
            return facts
    return None
