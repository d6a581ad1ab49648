"""The numbers of the HTTP edge, server side (reliability rules E1, E2, E6, E7)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """What a client may take in time and space. Fields named as in the settings mean the same."""

    head_timeout_s: float = (
        10.0  # from the first byte of a head (of the first one: from the accept) to its end
    )
    body_timeout_s: float = 30.0  # from the end of the head; longer where the size asks for it
    body_min_bytes_per_s: int = 65_536  # the slowest rate at which a large body may come
    keepalive_timeout_s: float = 30.0  # between two requests
    stall_timeout_s: float = 60.0  # a client that reads nothing of its reply
    linger_timeout_s: float = (
        2.0  # what is still sent after a refusal is read this long, so that it can be read
    )
    head_max_bytes: int = 32_768  # request line included
    head_max_fields: int = 100
    body_max_bytes: int = 4_194_304  # on paths that the ASGI application serves
    discard_max_bytes: int = (
        65_536  # of a refused request's body, read so that the connection can be kept
    )
    chunk_extension_max_bytes: int = 1_024  # of one chunk
    trailer_max_bytes: int = 8_192  # all trailer fields together; they are dropped
    pipelined_max_bytes: int = 65_536  # read ahead while a reply is under way; then reading pauses
    write_buffer_max_bytes: int = 65_536  # unsent reply, before the source is paused
    connections_max: int = 10_000
    in_flight_max: int = 10_000
    buffered_bodies_max_bytes: int = 268_435_456  # of all requests together
    accept_pause_s: float = 0.2  # after an accept that failed for want of file descriptors
    backlog: int = 2_048
