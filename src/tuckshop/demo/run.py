"""What `tuckshop demo` does: a folder, a week in it, the made-up provider, the real server in front of it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tuckshop import logs, server
from tuckshop.demo import story
from tuckshop.demo.folder import make_anew
from tuckshop.demo.provider import CREDENTIAL, Provider
from tuckshop.demo.seed import fill
from tuckshop.demo.words import greeting
from tuckshop.domain.errors import SettingsError
from tuckshop.settings import Settings

DRAIN_S: Final = 5.0


def run(*, folder: Path, host: str, port: int, command: str, say: Callable[[str], None]) -> None:
    """
    The demo, until SIGINT or SIGTERM.

    Args:
        command: How tuckshop is called from here, for the examples.
        say: Prints a text.
    Raises:
        SettingsError: The address cannot be had.
        StoreError: The folder cannot be used.
    """
    logs.configure("error", "console")
    _check_address(host, port)
    make_anew(folder)
    provider = Provider.start()
    try:
        classroom = asyncio.run(fill(folder, until_us=time.time_ns() // 1000))
        settings = Settings(
            host=host,
            port=port,
            data=folder,
            openai_api_key=CREDENTIAL,
            openai_base_url=provider.url,
            drain_seconds=DRAIN_S,
        )

        def greet(url: str) -> None:
            token = (folder / "admin-token").read_text(encoding="ascii").strip()
            secret = classroom.keys[story.SHOWN]
            say(greeting(url=url, token=token, folder=folder, secret=secret, command=command))

        server.run(settings, on_ready=greet)
    finally:
        provider.stop()


def _check_address(host: str, port: int) -> None:
    """
    Raises:
        SettingsError: Somebody listens there. Told before anything is made.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise SettingsError(
            f"{host} port {port} cannot be listened on ({error.strerror or error}): take another, such as"
            f" `tuckshop demo --port {port + 1 if port < 65_535 else 8000}`"
        ) from error
