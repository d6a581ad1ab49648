"""Which addresses are dialled (K20)."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tuckshop.domain.records import Reach
from tuckshop.upstreams.addresses import AddressGuard
from tuckshop.upstreams.base_url import parse_base_url
from tuckshop.upstreams.dial import DialError, dial
from tuckshop.upstreams.limits import UpstreamLimits

OWN = 8000


def refusal(reach: Reach, address: str, port: int = 443) -> str | None:
    return AddressGuard(reach, lambda: (OWN,)).refusal(address, port)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "llm.example.org"],
)
def test_public_addresses_and_names_pass(address: str) -> None:
    assert refusal("public", address) is None
    assert refusal("any", address) is None


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "0.0.0.0"),
        *("169.254.1.1", "224.0.0.1", "255.255.255.255", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%lo", "fd00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:a00:1::1"),
    ],
)
def test_others_are_the_operators_to_name(address: str) -> None:
    assert "not public" in str(refusal("public", address))
    assert refusal("any", address) is None


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254"],
)
def test_a_clouds_metadata_is_nobodys_to_name(address: str) -> None:
    assert "credentials" in str(refusal("any", address))


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "::ffff:127.0.0.1"]
)
def test_our_own_listener_is_never_dialled(address: str) -> None:
    assert "own listener" in str(refusal("any", address, OWN))
    assert refusal("any", address, OWN + 1) is None


def test_a_name_is_judged_by_the_address_that_is_dialled_at_every_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A resolver that rebinds: the second answer is private, and is not connected to."""
    answers = [["8.8.8.8", "10.0.0.1"], ["127.0.0.1"]]
    connected: list[str] = []

    async def lookup(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in answers.pop(0)
        ]

    async def connect(self: Any, sock: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    async def try_it() -> str:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(type(loop), "getaddrinfo", lookup)
        monkeypatch.setattr(type(loop), "sock_connect", connect)
        guard = AddressGuard("public", tuple)
        with pytest.raises(DialError) as raised:
            await dial(
                parse_base_url("https://rebinding.example"),
                None,
                asyncio.Protocol,
                UpstreamLimits(),
                guard=guard,
            )
        return raised.value.kind

    assert asyncio.run(try_it()) == "refused"
    assert connected == ["8.8.8.8"]
    assert asyncio.run(try_it()) == "forbidden"
    assert connected == ["8.8.8.8"]
