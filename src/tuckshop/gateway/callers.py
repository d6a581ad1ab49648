"""Where calls come from, as a digest that tells nothing but whether two came from one network (P12)."""

from __future__ import annotations

import hmac
from typing import Final

from tuckshop.domain.networks import parse_address, site_of

DIGEST_BYTES: Final = 8
KNOWN_MAX: Final = 4_096


class Callers:
    """Digests of callers' networks; worth nothing without its key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, bytes | None] = {}  # by address, for this process alone

    def network_of(self, peer: str) -> bytes | None:
        """The digest of the /24 or /48 that the address *peer* is in; None: it is no address."""
        known = self._known
        if peer in known:
            return known[peer]
        address = parse_address(peer)
        digest = None
        if address is not None:
            digest = hmac.digest(self._key, site_of(address).encode(), "sha256")[:DIGEST_BYTES]
        if len(known) >= KNOWN_MAX:
            del known[next(iter(known))]
        known[peer] = digest
        return digest
