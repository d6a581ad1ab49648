"""What a body asks for: all that price, policy and routing need to know of it, or a refusal by name (M12)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyFacts:
    """What a body asks for, as far as money, routing and policy need to know."""

    model: str  # as the client wrote it, upstream prefix and all
    stream: bool = False
    wants_usage: bool = False  # the client asks for the usage chunk of a stream
    cap_wanted: int | None = None  # the least that the client's cap fields say
    cap_fields: tuple[str, ...] = ()  # the fields it says it in
    choices: int = 1
    text_bytes: int = 0
    messages: int = 0  # messages, or texts of an input
    tools: int = 0
    schema_properties: int = 0  # properties and listed values of all schemas
    token_ids: int = 0
    unknown_parameters: tuple[
        str, ...
    ] = ()  # top-level names that the endpoint's row does not know
