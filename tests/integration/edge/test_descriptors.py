"""Out of file descriptors: accepting rests and resumes, and who is connected is served (E7)."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCENE = """
import asyncio, logging, resource, socket, sys, uvloop
from tests.integration.edge.support import RelayApp, edge, talk
from tuckshop.edge.limits import EdgeLimits

logging.disable()
LAST = b"GET /v1/x HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n"

async def main():
    async with edge(RelayApp(), EdgeLimits(accept_pause_s=0.05)) as shop:
        reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        crowd = []
        try:
            while True:
                sock = socket.socket()
                crowd.append(sock)
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", shop.port))
        except OSError:
            crowd.pop().close()  # one descriptor for the server, which needs more than one
        await asyncio.sleep(0.5)
        writer.write(LAST.replace(b"Connection: close\\r\\n", b""))
        assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"/v1/x"), 5)
        for sock in crowd:
            sock.close()
        await asyncio.sleep(0.3)
        for _ in range(5):
            assert (await talk(shop.port, LAST)).startswith(b"HTTP/1.1 200"), "accepting has died"
        writer.close()
    print("alive")

{"asyncio": asyncio, "uvloop": uvloop}[sys.argv[1]].run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_running_out_of_file_descriptors_does_not_end_accepting(loop: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCENE, loop], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout == "alive\n", done.stderr
