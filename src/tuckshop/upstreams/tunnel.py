"""
The way out through an HTTP proxy: a tunnel by `CONNECT`, whatever the upstream's scheme.

The proxy learns the upstream's host and port and, of an https upstream, nothing else. It is untrusted input like any
upstream: its answer is bounded, and what comes behind its head before we have spoken ends the attempt.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Final

from tuckshop.upstreams.proxy import UpstreamProxy, bracketed

ANSWER_MAX_BYTES: Final = 16_384
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?:[ \r])")


async def open_tunnel(sock: socket.socket, proxy: UpstreamProxy, host: str, port: int) -> None:
    """
    Make of *sock*, connected to *proxy*, a tunnel to *host* and *port*.

    Raises:
        OSError: The proxy does not open it; says what it answered, without credentials.
    """
    loop = asyncio.get_running_loop()
    target = f"{bracketed(host)}:{port}".encode("ascii")
    lines = [b"CONNECT %b HTTP/1.1" % target, b"host: " + target]
    if proxy.authorization is not None:
        lines.append(b"proxy-authorization: " + proxy.authorization)
    await loop.sock_sendall(sock, b"\r\n".join([*lines, b"", b""]))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = await loop.sock_recv(sock, 4_096)
        answer += piece
        if not piece or len(answer) > ANSWER_MAX_BYTES:
            raise OSError(f"the proxy {proxy} does not answer CONNECT as HTTP")
    status = _STATUS.match(answer)
    if status is None:
        raise OSError(f"the proxy {proxy} does not answer CONNECT as HTTP")
    if not status[1].startswith(b"2"):
        hint = ": its user or password is wrong" if status[1] == b"407" else ""
        raise OSError(f"the proxy {proxy} answers CONNECT with {status[1].decode()}{hint}")
    if not answer.endswith(b"\r\n\r\n") or answer.count(b"\r\n\r\n") != 1:
        raise OSError(f"the proxy {proxy} sent something nobody asked for")
