"""What a reply that is not streamed says about itself: usage, the model that answered, the tier."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from tuckshop.domain.usage import Usage
from tuckshop.protocols.endpoints import Events
from tuckshop.protocols.openai.cleaning import clean_json
from tuckshop.protocols.openai.usage import UNREADABLE, decode_usage


class ReplyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a reply is read for what it says about itself; it is passed on whatever its size."""

    event_max_bytes: Mapping[
        Events, int
    ]  # a longer event of a stream is not read, nor what follows
    whole_max_bytes: int = (
        1 << 20
    )  # a longer reply or event is not parsed whole: it would hold up others
    tail_bytes: int = 64 << 10  # of such a one


class ReplyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Each None where the reply does not say, or says it in a form that nobody can read."""

    usage: Usage | None
    model: str | None
    service_tier: str | None


class _Reply(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw(b"null")
    model: str | None = None
    service_tier: str | None = None


class _Failed(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw(b"null")


_FAILED: Final = msgspec.json.Decoder(_Failed)
_DECODER: Final = msgspec.json.Decoder(_Reply)
_TAIL_TRIES: Final = 4  # each may decode the whole tail
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
_MODEL: Final = re.compile(rb'"model"\s*:\s*"([^"\\]{1,128})"')
_MODEL_BEFORE: Final = re.compile(_MODEL.pattern + rb"\s*,\s*\Z")
_ERROR: Final = re.compile(rb'"error"\s*:\s*\{')
_PAYLOAD: Final = re.compile(rb'"(?:choices|data|output)"\s*:')
_OUTPUT: Final[Mapping[Events, re.Pattern[bytes]]] = {
    "chunks": re.compile(
        rb'"(?:content|reasoning_content|refusal|arguments|input|text)"\s*:\s*"[^"]'
    ),
    "typed": re.compile(rb'"(?:text|refusal|arguments|input)"\s*:\s*"[^"]'),
}


def usage_of(body: bytes) -> ReplyFacts | None:
    """The facts of the whole *body*; None: it is no JSON object."""
    try:
        reply = _DECODER.decode(body)
    except UNREADABLE:
        return None
    return ReplyFacts(
        usage=decode_usage(reply.usage), model=reply.model, service_tier=reply.service_tier
    )


def usage_of_tail(tail: bytes, *, beginning: bytes = b"") -> ReplyFacts | None:
    """
    The facts that stand at the end of a reply of which only *tail* was kept; None: no usage there.

    From the name `usage` on, the rest must be the end of one object: so the name stands at its top level. Within a
    text it cannot be met, since JSON writes the quotes of a text with a backslash.

    Args:
        beginning: Of the same reply. The model stands before its choices, or right before its usage.
    """
    starts = [match.start() for match in _USAGE.finditer(tail)]
    for start in reversed(starts[-_TAIL_TRIES:]):
        facts = usage_of(b"{" + tail[start:])
        if facts is not None:
            model = facts.model or _model_around(beginning, tail[max(0, start - 256) : start])
            return ReplyFacts(usage=facts.usage, model=model, service_tier=facts.service_tier)
    return None


def has_output(body: bytes, events: Events) -> bool:
    """Does the whole *body* hold any output of a model? *events*: how this endpoint would stream it."""
    return _OUTPUT[events].search(body) is not None


def without_account(body: bytes, credential: str = "") -> bytes:
    """
    The whole *body* of a reply of status 200, whose `error`, if it has one, no longer tells of the account.

    Args:
        credential: That of the upstream, whatever it looks like.
    """
    if _ERROR.search(body) is None:
        return body
    try:
        error = bytes(_FAILED.decode(body).error)
    except UNREADABLE:
        return body
    return body.replace(error, clean_json(error, credential)) if error.startswith(b"{") else body


def _model_around(beginning: bytes, before_usage: bytes) -> str | None:
    found = _MODEL_BEFORE.search(before_usage)
    if found is None:
        payload = _PAYLOAD.search(beginning)
        found = _MODEL.search(beginning, 0, payload.start() if payload else len(beginning))
    return None if found is None else found[1].decode(errors="replace")
