"""
No CPU over 50 ms on the loop (section 8): a whole server in this process, every callback of its loop timed.

What is timed is the CPU of the loop's thread, so a busy machine proves nothing and a slow callback cannot hide.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.support.http import Reply, parsed
from tests.support.processes import ADMIN_TOKEN, CREDENTIAL, Mock, Server
from tuckshop import server as app
from tuckshop.settings import load_settings

pytestmark = pytest.mark.long

MOST_S = 0.05
FULL = 20_971_520
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass
class Slowest:
    """The callback that took most CPU."""

    seconds: float = 0.0
    what: str = ""


@contextmanager
def timed_callbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slowest]:
    slowest = Slowest()
    run: Callable[[asyncio.Handle], None] = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        took = time.thread_time() - began
        if took > slowest.seconds:
            slowest.seconds, slowest.what = took, repr(handle)

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    yield slowest


def chat(content: str, more: str = "") -> bytes:
    head = '{"model":"gpt-4o-mini","max_tokens":9,"messages":[{"role":"user","content":'
    return f"{head}{content}}}]{more}}}".encode()


def filled(piece: str, around: Callable[[str], bytes], size: int = FULL) -> bytes:
    """As many of *piece* as a body may hold."""
    return around(piece * ((size - len(around(""))) // len(piece)))


def messages(size: int) -> bytes:
    one = '{"role":"user","content":"a"},'
    head = '{"model":"gpt-4o-mini","max_tokens":9,"messages":['
    return (head + one * (size // len(one)) + one[:-1] + "]}").encode()


BODIES: dict[str, bytes] = {
    "one long text": filled("x", lambda t: chat(f'"{t}"')),
    "letters of two bytes": filled("ä", lambda t: chat(f'"{t}"'), FULL // 2),
    "escapes": filled("\\u00e4", lambda t: chat(f'"{t}"')),
    "escaped pairs": filled("\\ud83d\\ude00", lambda t: chat(f'"{t}"')),
    "a hundred thousand messages": messages(3_000_000),
    "as many messages as go in": messages(FULL - 200),
    "messages just below the bound": messages(250_000),
    "numbers just below the bound": filled(
        "1.50,", lambda t: chat('"a"', f',"logit_bias":[{t}1]'), 40_000
    ),
    "numbers": filled("1.50,", lambda t: chat('"a"', f',"logit_bias":[{t}1]')),
    "long numbers": filled("9" * 18 + ",", lambda t: chat('"a"', f',"logit_bias":[{t}1]'), 9 << 20),
    "lists": filled("[],", lambda t: chat('"a"', f',"tools":[{t}[]]')),
    "objects": filled("{},", lambda t: chat('"a"', f',"tools":[{t}{{}}]')),
    "deep": b"[" * FULL,
    "names": b'{"model":"gpt-4o-mini",' + b",".join(b'"%d":1' % n for n in range(400_000)) + b"}",
    "a data URL": filled(
        "A",
        lambda t: chat(
            f'[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{PIXEL}{t}"}}}}]'
        ),
    ),
    "many images": filled(
        '{"type":"image_url","image_url":{"url":"https://a/b"}},',
        lambda t: chat(f'[{t}{{"type":"text","text":"a"}}]'),
        8 << 20,
    ),
    "spaces": filled(" ", lambda t: chat('"a"', t)),
    "no JSON": b"\\" * FULL,
    "half a text": b'{"model":"' + b'\\"[,' * (FULL // 5),
}


def request(key: str, body: bytes, *, chunk: int = 0) -> list[bytes]:
    """A call in pieces, as a client would write it."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n"
    head += "content-type: application/json\r\nconnection: close\r\n"
    if not chunk:
        return [f"{head}content-length: {len(body)}\r\n\r\n".encode(), body]
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return [f"{head}transfer-encoding: chunked\r\n\r\n".encode(), coded + b"0\r\n\r\n"]


def run_by_itself(scene: Coroutine[None, None, None]) -> None:
    """Run *scene* as the server runs: what stood before it (here: all that pytest keeps) is not collected again."""
    gc.collect()
    gc.freeze()
    try:
        asyncio.run(scene)
    finally:
        gc.unfreeze()


def talk(port: int, pieces: list[bytes]) -> Reply:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
        said = b""
        try:
            for piece in pieces:
                sock.sendall(piece)
        except OSError:
            pass  # refused before all of it was sent: what was said can still be read
        while part := sock.recv(1 << 20):
            said += part
    return parsed(said)


def test_no_body_and_no_reply_holds_up_the_loop(
    tmp_path: Path, mock: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 8; E5: every body that takes long to read, and a reply that takes long to meter."""
    environ = {
        "TUCKSHOP_DATA": str(tmp_path / "data"),
        "TUCKSHOP_PORT": "0",
        "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
        "OPENAI_API_KEY": CREDENTIAL,
        "OPENAI_BASE_URL": mock.url,
    }
    took: dict[str, Slowest] = {}
    replies: dict[str, Reply] = {}

    async def scene() -> None:
        running = await app.start(load_settings(environ, tmp_path).settings)
        port = running.edge.port
        stand_in = Server(cast_none(), running.url, tmp_path / "data", tmp_path / "log")
        key = await asyncio.to_thread(key_of_new_member, stand_in, "big")
        calls = {name: request(key, body) for name, body in BODIES.items()}
        calls["small chunks"] = request(key, chat('"' + "x" * 400_000 + '"'), chunk=6)
        calls["single bytes"] = request(key, chat('"' + "x" * 12_000 + '"'), chunk=1)
        calls["a long reply"] = request(key, chat('"[[tokens:16000]]"').replace(b":9,", b":16000,"))
        try:
            for name, pieces in calls.items():
                with monkeypatch.context() as patch, timed_callbacks(patch) as slowest:
                    replies[name] = await asyncio.to_thread(talk, port, pieces)
                took[name] = slowest
        finally:
            await running.close()

    run_by_itself(scene())

    told = {name: f"{s.seconds * 1000:.1f} ms {s.what}" for name, s in took.items()}
    print(json.dumps({n: f"{t[:90]} {replies[n].status}" for n, t in told.items()}, indent=1))
    assert {name: told[name] for name, s in took.items() if s.seconds > MOST_S} == {}
    # The longest texts are more than the model's window, which the provider tells.
    served = (
        "messages just below the bound",
        "small chunks",
        "single bytes",
        "a long reply",
    )
    assert {name: replies[name].status for name in served} == dict.fromkeys(served, 200)
    assert {reply.status for reply in replies.values()} <= {200, 400, 413, 429}


EVENTS: dict[str, bytes] = {
    "empty lines": b"\n\n",
    "empty lines of the old kind": b"\r\r",
    "comments": b":\n\n",
    "events of nothing": b"data:\n\n",
    "errors": b'data:{"error":{}}\n\n',
    "usage again and again": b'data:{"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n',
}


@contextmanager
def upstream_sending(events: list[bytes], size: int) -> Iterator[str]:
    """An upstream that answers each call by *size* bytes of the next of *events*, all at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for event in events:
                sock, _ = listener.accept()
                with sock:
                    asked = b""
                    while b"\r\n\r\n" not in asked or not asked.endswith(b"}"):
                        asked += sock.recv(65_536)
                    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
                    sock.sendall(head + b'data: {"x":1}\n\n')
                    sock.sendall(event * (size // len(event)))

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread.join()


def test_no_stream_of_tiny_events_holds_up_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 8: an upstream that sends a quarter of a megabyte of next to nothing per read; all of it gets through."""
    size = 600_000
    took: dict[str, Slowest] = {}
    replies: dict[str, Reply] = {}

    async def scene(url: str) -> None:
        environ = {
            "TUCKSHOP_DATA": str(tmp_path / "data"),
            "TUCKSHOP_PORT": "0",
            "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
            "OPENAI_API_KEY": CREDENTIAL,
            "OPENAI_BASE_URL": url,
        }
        running = await app.start(load_settings(environ, tmp_path).settings)
        stand_in = Server(cast_none(), running.url, tmp_path / "data", tmp_path / "log")
        key = await asyncio.to_thread(key_of_new_member, stand_in, "big")
        try:
            for name in EVENTS:
                with monkeypatch.context() as patch, timed_callbacks(patch) as slowest:
                    call = request(key, chat('"a"', ',"stream":true'))
                    replies[name] = await asyncio.to_thread(talk, running.edge.port, call)
                took[name] = slowest
        finally:
            await running.close()

    with upstream_sending(list(EVENTS.values()), size) as url:
        run_by_itself(scene(url))

    told = {name: f"{s.seconds * 1000:.1f} ms {s.what[:90]}" for name, s in took.items()}
    print(json.dumps(told, indent=1))
    assert {name: told[name] for name, s in took.items() if s.seconds > MOST_S} == {}
    assert {reply.status for reply in replies.values()} == {200}
    for name in ("empty lines", "empty lines of the old kind", "comments", "events of nothing"):
        assert replies[name].body.count(EVENTS[name]) >= size // len(EVENTS[name]) - 1


def cast_none() -> Any:
    """In place of a process: the server runs in this one."""
    return None
