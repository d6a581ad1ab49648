"""
Which addresses may be dialled for an upstream (K20).

Checked on the very address that a connection is then made to, at every connect, so that neither odd spellings nor a
name that is looked up twice with two answers lead anywhere else.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from typing import Final

from tuckshop.domain.records import Reach

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where clouds hand credentials of the machine itself to whoever asks from it. No model lives there.
_METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in (
        *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192"),
        *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    )
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class AddressGuard:
    """Says of an address why it is not dialled."""

    def __init__(self, reach: Reach, own_ports: Callable[[], Collection[int]]) -> None:
        """*own_ports*: those that this server listens on, whatever its addresses."""
        self._reach = reach
        self._own_ports = own_ports

    def refusal(self, address: str, port: int) -> str | None:
        """Why a connection to *address* is not made; None: it may be. A name is no address and passes."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return None
        seen = _embedded(ip)
        if port in self._own_ports() and (seen.is_unspecified or _is_of_this_machine(ip)):
            return "it is tuckshop's own listener, which would call itself for ever"
        if {ip, seen} & _METADATA:
            return "it is where a cloud keeps the machine's own credentials"
        if self._reach == "public" and not _is_public(seen):
            return "it is not public, and only an operator may name such an address"
        return None


def _embedded(ip: Ip) -> Ip:
    """The IPv4 address that an IPv6 address leads to, where it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or ip


def _is_public(ip: Ip) -> bool:
    return ip.is_global and not ip.is_multicast


def _is_of_this_machine(ip: Ip) -> bool:
    if ip.is_loopback:
        return True
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((str(ip), 0))
        except OSError:
            return False
    return True
