"""
Connecting to an upstream: name, addresses raced with a delay (RFC 8305), TLS; all within one deadline.

Where a proxy is set, name and addresses are the proxy's, a tunnel leads on, and the upstream's name is looked up there.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from itertools import chain, zip_longest
from typing import Any, TypeVar

from tuckshop.domain.errors import TuckshopError
from tuckshop.upstreams.addresses import AddressGuard
from tuckshop.upstreams.base_url import BaseUrl
from tuckshop.upstreams.failure import FailureKind
from tuckshop.upstreams.limits import UpstreamLimits
from tuckshop.upstreams.proxy import UpstreamProxy
from tuckshop.upstreams.tunnel import open_tunnel

P = TypeVar("P", bound=asyncio.Protocol)
Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class DialError(TuckshopError):
    """There is no connection, so no byte of a request was written."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind: FailureKind = kind
        self.detail = detail


async def dial(
    base_url: BaseUrl,
    tls: ssl.SSLContext | None,
    make: Callable[[], P],
    limits: UpstreamLimits,
    proxy: UpstreamProxy | None = None,
    guard: AddressGuard | None = None,
) -> P:
    """
    A protocol made by *make*, connected.

    Args:
        guard: Asked about every address before it is dialled. Behind a proxy, which looks names up itself, about the
            upstream's host where that is an address.
    Raises:
        DialError: Why there is no connection.
    """
    try:
        async with asyncio.timeout(limits.connect_timeout_s):
            first = base_url if proxy is None else proxy
            if proxy is not None and guard is not None:
                _refuse_if(guard.refusal(base_url.host, base_url.port))
            addresses = await _resolve(first.host, first.port)
            if proxy is None and guard is not None:
                addresses = _permitted(addresses, guard)
            sock = await _race(addresses, limits.attempt_delay_s)
            if proxy is not None:
                await _tunnel(sock, proxy, base_url)
            return await _wrap(base_url, tls, make, sock)
    except TimeoutError as error:
        if isinstance(error, OSError) and error.errno == errno.ETIMEDOUT:
            raise DialError("refused", str(error)) from error
        raise DialError("connect_timeout", f"{limits.connect_timeout_s} s") from error
    except (socket.gaierror, UnicodeError) as error:  # the latter: no possible name
        raise DialError("dns", str(error)) from error
    except ssl.SSLError as error:  # of a certificate too
        raise DialError("tls", str(error)) from error
    except OSError as error:
        raise DialError("refused", str(error)) from error


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    first = [a for a in addresses if a[0] == addresses[0][0]]
    other = [a for a in addresses if a[0] != addresses[0][0]]
    # Families take turns, so that one which leads nowhere costs one delay only.
    return [a for a in chain.from_iterable(zip_longest(first, other)) if a is not None]


def _permitted(addresses: list[Address], guard: AddressGuard) -> list[Address]:
    reasons = [guard.refusal(address[0], address[1]) for _, address in addresses]
    permitted = [a for a, reason in zip(addresses, reasons, strict=True) if reason is None]
    if not permitted:
        _refuse_if(reasons[0])
    return permitted


def _refuse_if(reason: str | None) -> None:
    if reason is not None:
        raise DialError("forbidden", reason)


async def _race(addresses: list[Address], delay_s: float) -> socket.socket:
    if len(addresses) == 1:
        return await _connect(addresses[0])
    loop = asyncio.get_running_loop()
    waiting = list(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    failure: OSError | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_connect(waiting.pop(0)), name="dial"))
            done, running = await asyncio.wait(
                running,
                timeout=delay_s if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            winner: socket.socket | None = None
            for task in done:
                error = task.exception()
                if error is None and winner is None:
                    winner = task.result()
                elif error is None:
                    task.result().close()
                elif isinstance(error, OSError):
                    failure = error
                else:
                    raise error
            if winner is not None:
                return winner
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_close_late)
    raise failure or OSError("no address")


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect(address: Address) -> socket.socket:
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address[1])
    except BaseException:
        sock.close()
        raise
    return sock


async def _tunnel(sock: socket.socket, proxy: UpstreamProxy, base_url: BaseUrl) -> None:
    try:
        await open_tunnel(sock, proxy, base_url.host, base_url.port)
    except BaseException:
        sock.close()
        raise


async def _wrap(
    base_url: BaseUrl, tls: ssl.SSLContext | None, make: Callable[[], P], sock: socket.socket
) -> P:
    loop = asyncio.get_running_loop()
    try:
        if base_url.is_tls:
            _, protocol = await loop.create_connection(
                make, sock=sock, ssl=tls, server_hostname=base_url.host
            )
        else:
            _, protocol = await loop.create_connection(make, sock=sock)
    except BaseException:
        sock.close()
        raise
    return protocol
