"""
Listening sockets with an accept loop of our own (rule E7).

A process without file descriptors goes on accepting later, in the same way on every loop: asyncio's own server tries
again and logs several hundred errors a second meanwhile, uvloop's drops everyone who waits and says nothing. This one
keeps a descriptor in reserve: it is given up to take a connection that cannot be served and close it; then accepting
rests for a moment. It also turns away what exceeds the bound before anything is made for it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

from tuckshop.edge.floor import Floor
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)
_OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_ACCEPTS_AT_ONCE: Final = 128  # then the loop serves others first


async def bind(host: str, port: int, *, backlog: int) -> list[socket.socket]:
    """
    Listening sockets on every address of *host*, all on the same port.

    Raises:
        OSError: The host is unknown or an address cannot be had.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
    )
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = port or (sockets[0].getsockname()[1] if len(sockets) > 1 else 0)
            sock.bind((address[0], chosen, *address[2:]))
            sock.listen(backlog)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


class Listener:
    """Accepts on one socket and hands connections to a protocol factory."""

    def __init__(
        self, sock: socket.socket, make_protocol: Callable[[], asyncio.Protocol], floor: Floor
    ) -> None:
        self._socket = sock
        self._make_protocol = make_protocol
        self._floor = floor
        self._reserve: int | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._opening = 0  # accepted, and not yet a connection of the floor
        self._closed = False

    def start(self) -> None:
        """Begin to accept."""
        self._rest = None
        self._take_reserve()
        self._floor.loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Accept nothing more; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._rest is not None:
            self._rest.cancel()
        self._floor.loop.remove_reader(self._socket.fileno())
        self._socket.close()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def _accept(self) -> None:
        floor = self._floor
        for _ in range(_ACCEPTS_AT_ONCE):
            if self._closed:
                return
            try:
                sock, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # that client has gone again
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    _log.error("accepting a connection failed: %s", error)
                self._turn_away()
                return
            if len(floor.connections) + self._opening >= floor.limits.connections_max:
                sock.close()
                continue
            sock.setblocking(False)
            self._opening += 1
            spawn(self._open(sock), name="accept", tasks=floor.tasks)

    async def _open(self, sock: socket.socket) -> None:
        try:
            await self._floor.loop.connect_accepted_socket(self._make_protocol, sock)
        except OSError as error:
            _log.warning("a connection could not be opened: %s", error)
            sock.close()
        finally:
            self._opening -= 1

    def _turn_away(self) -> None:
        """No descriptor is left: use the reserve to close what waits, and rest."""
        _log.warning("out of file descriptors: new connections are turned away")
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
            try:
                sock, _ = self._socket.accept()
                sock.close()
            except OSError:
                _log.debug("nobody was waiting any more")
            self._take_reserve()
        self._floor.loop.remove_reader(self._socket.fileno())
        self._rest = self._floor.loop.call_later(self._floor.limits.accept_pause_s, self.start)

    def _take_reserve(self) -> None:
        if self._reserve is None:
            try:
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                _log.debug("no descriptor to keep in reserve")
