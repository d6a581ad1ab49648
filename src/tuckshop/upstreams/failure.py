"""How an exchange with an upstream fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FailureKind = Literal[
    "refused",  # no connection: refused, unreachable, or no file descriptor left
    "dns",  # the name has no address
    "forbidden",  # it leads to an address that must not be dialled (K20)
    "tls",  # the handshake failed, or the certificate is not to be trusted
    "connect_timeout",
    "deadline",  # the whole call took too long
    "reset",  # the connection ended before the reply did
    "protocol",  # what came is not HTTP/1.1, or its head is too large
]
# The connection is alive and the exchange goes on: told by `on_timeout`, never a failure by themselves.
TimeoutKind = Literal["first_byte_timeout", "gap_timeout"]


@dataclass(frozen=True, slots=True)
class UpstreamFailure:
    """
    The end of an exchange without a complete reply.

    Attributes:
        request_bytes_written: False is proof that no byte of the request left (M10). True says that some may have.
    """

    kind: FailureKind
    request_bytes_written: bool
    detail: str = ""  # for the log; holds no credential
