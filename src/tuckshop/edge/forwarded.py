"""
Who is behind a front proxy: `X-Forwarded-For` and `X-Forwarded-Proto`, believed of trusted proxies alone.

Anybody can send these fields, so they count only on a connection whose other side is in a trusted network, and only
as far from the right as trusted proxies wrote them: each proxy adds, at the right end, the address that it saw. The
first address from the right that is no trusted proxy is the client; what stands further left is hearsay.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tuckshop.domain.networks import Address, Network, parse_address

HOPS_MAX: Final = 16  # more proxies in a row than anybody has


class TrustedProxies:
    """The networks whose forwarding fields are believed. Falsy where there is none."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trust(self, peer: str) -> bool:
        """Is *peer*, the other side of a connection, one of them?"""
        address = parse_address(peer)
        return address is not None and self._include(address)

    def client_of(self, headers: Iterable[tuple[bytes, bytes]], peer: str) -> str:
        """
        The address of the client on a connection whose *peer* is trusted; *peer* itself where nothing better is told.

        An entry that is no address ends the way: nothing left of it can be told from an invention.
        """
        entries = ",".join(
            value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"
        ).split(",")
        client = peer
        for entry in reversed(entries[-HOPS_MAX:]):
            address = parse_address(entry.strip())
            if address is None:
                break
            client = str(address)
            if not self._include(address):
                break
        return client

    def _include(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def scheme_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """What the client spoke, as a trusted proxy tells it: ``https``, or ``http`` where it says anything else."""
    told = [value.lower() for name, value in headers if name == b"x-forwarded-proto"]
    return "https" if told == [b"https"] else "http"
