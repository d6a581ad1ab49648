"""The numbers of the upstream side (reliability section 9)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLimits:
    """What an upstream may take in time and space."""

    connect_timeout_s: float = 5.0  # name, connection and TLS together
    first_byte_timeout_s: float = 600.0  # from the request to the head of the reply
    gap_timeout_s: float = 60.0  # between pieces; a call says so where the model reasons
    request_timeout_s: float = 900.0  # the whole call, connecting included
    idle_timeout_s: float = 4.0  # below the 5 s after which common servers drop an idle connection
    idle_max: int = 1_000  # idle connections kept
    attempt_delay_s: float = 0.25  # before the next address of a name is tried too (RFC 8305)
    head_max_bytes: int = 65_536  # of a reply
    head_max_fields: int = 200
    silent_max_bytes: int = 65_536  # of framing without a byte of body in it
    interim_max: int = 16  # replies 1xx before the real one
