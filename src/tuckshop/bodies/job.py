"""
What the server and the process that reads large bodies say to each other.

    in:   SIZE SIZE LF, then a `Job` and the body
    out:  SIZE LF, then an `Answer`
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from tuckshop.domain.rules.rules import Finding, Rules
from tuckshop.protocols.openai.body import BodyFacts, BodyLimits
from tuckshop.protocols.openai.contents import Contents
from tuckshop.protocols.openai.long_texts import LongText
from tuckshop.protocols.openai.outgoing import Profile, Rewriting

Task = Literal["understand", "texts", "rewrite", "contents"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told of a body, or done with it."""

    task: Task
    endpoint: str  # its name
    limits: BodyLimits
    pass_unknown: bool = True
    rewriting: Rewriting | None = None
    rules: Rules | None = None  # that are held against it first
    profile: Profile = "openai"  # of the upstream that a body is for whose contents are asked for


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One of these, by the job's task; or a refusal: its code, and what it is made of."""

    refusal: tuple[str, tuple[str | None, ...]] | None = None
    facts: BodyFacts | None = None
    findings: tuple[Finding, ...] = ()
    texts: tuple[LongText, ...] = ()
    contents: Contents | None = None
    body: bytes | None = None  # None: the client's own bytes say just that


to_job: Final = msgspec.msgpack.Decoder(Job).decode
to_answer: Final = msgspec.msgpack.Decoder(Answer).decode
to_bytes: Final = msgspec.msgpack.Encoder().encode
