"""What an endpoint is, whatever the protocol family: one row of a family's table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["GET", "POST", "DELETE"]
IdentityField = Literal["safety_identifier", "user"]
ModelFamily = Literal["chat", "responses", "completion", "embedding", "moderation"]
# How a reply is streamed: `data: {chunk}` up to `[DONE]`, or events that name their type and tell the end themselves.
Events = Literal["chunks", "typed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A path and method that is served, with all that the steps of a call need to know of it."""

    name: str  # `chat.completions`: in request rows and logs
    group: str  # `chat`: what policies and limits select by
    method: Method
    path: str  # below `/v1`; `{model}` stands for an id
    families: tuple[ModelFamily, ...] = ()  # of models that can serve it; none: it runs no model
    parameters: frozenset[str] = frozenset()  # known top-level names of the body
    dropped: frozenset[str] = frozenset()  # of these, the harmless extras that are not sent on
    identity_field: IdentityField | None = None  # where a pseudonym of the member goes (K10)
    default_model: str | None = None  # what a body without `model` means
    body_max_bytes: int = 0  # 0: takes no body
    streams: bool = False
    events: Events = "chunks"
    cap_fields: tuple[
        str, ...
    ] = ()  # in which a body states an output cap; none: it generates nothing
    stores_unasked: bool = (
        False  # the answer is kept at the provider unless the body says otherwise
    )
    free: bool = False  # nothing is billed, whatever the model costs

    @property
    def generates(self) -> bool:
        """Whether the reply has output tokens, which a cap can bound."""
        return bool(self.cap_fields)
