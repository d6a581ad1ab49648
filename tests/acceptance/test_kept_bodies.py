"""Prompts and answers that a group keeps, from outside: as they were, sealed, gone when they have to be (P1, P2)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import client_of, key_of_new_member
from tests.acceptance.test_race import assert_verified
from tests.support.http import post
from tests.support.processes import Mock, Server, start_mock, start_server
from tests.support.shell import Shell
from tuckshop.keeping.body_file import reading

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"
LOGGING = {"bodies": "all", "purpose": "exam supervision"}
CANARY = "Marzipankartoffel"


def messages(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def last_request(server: Server) -> str:
    return str(server.made("GET", "/requests?limit=1")["data"][0]["id"])


def kept(server: Server) -> int:
    """How many bodies lie on the disk."""
    with reading(server.data / "bodies.db") as bodies:
        if bodies is None:
            return 0
        count: int = bodies._connection.execute("SELECT count(*) FROM bodies").fetchone()[0]
        return count


def of_group(server: Server, group_id: str) -> int:
    """The same of one group."""
    with reading(server.data / "bodies.db") as bodies:
        assert bodies is not None
        return bodies.count("wsp_default", group_id)[0]


def test_a_stream_with_an_image_is_kept_whole_and_nowhere_in_clear(
    server: Server, mock: Mock
) -> None:
    """P1, P2, K16: read by the command with a reason; the word is in no file and no log."""
    key = key_of_new_member(server, "kept", logging=LOGGING)
    pixel = (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9aw"
        "AAAABJRU5ErkJggg=="
    )
    content: Any = [
        {"type": "text", "text": f"[[tokens:30]] {CANARY}"},
        {"type": "image_url", "image_url": {"url": pixel}},
    ]
    stream = client_of(server, key).chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": content}], stream=True, max_tokens=50
    )
    said = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)

    shell, request = Shell(server), last_request(server)
    body = shell.json("log", "body", request, "--reason", "an appeal")

    assert body["request"]["messages"][0]["content"] == content
    assert body["request"]["safety_identifier"]  # as it was sent, not as it came
    assert body["reply"]["choices"][0]["message"]["content"] == said
    assert not body["is_cut"]
    people = shell.run("log", "body", request, "--reason", "an appeal")
    assert CANARY in people.stdout
    trail = server.made("GET", "/audit?action=body.read")["data"]
    assert [row["after"]["reason"] for row in trail[:2]] == ["an appeal"] * 2
    for path in server.data.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in server.log.read_text()


def test_without_logging_no_file_of_bodies_is_made(tmp_path: Path, mock: Mock) -> None:
    """P1"""
    server = start_server(tmp_path / "server", mock.url)
    key = key_of_new_member(server, "none")
    client_of(server, key).chat.completions.create(model=MODEL, messages=messages("hello"))

    status, _ = server.admin(
        "POST", f"/requests/{last_request(server)}/body", {"reason": "curious"}
    )

    assert status == 404
    assert not (server.data / "bodies.db").exists()
    assert server.stop() == 0


def test_a_damaged_file_of_bodies_stops_neither_a_start_nor_a_call(
    tmp_path: Path, mock: Mock
) -> None:
    """D2"""
    server = start_server(tmp_path / "server", mock.url)
    key = key_of_new_member(server, "kept", logging=LOGGING)
    client_of(server, key).chat.completions.create(model=MODEL, messages=messages("hello"))
    assert server.stop() == 0
    assert kept(server) == 1
    (server.data / "bodies.db").write_bytes(b"garbage" * 5_000)

    server = start_server(tmp_path / "server", mock.url)
    client_of(server, key).chat.completions.create(model=MODEL, messages=messages("again"))

    request = last_request(server)
    server.made("POST", f"/requests/{request}/body", {"reason": "a look"})
    assert (server.data / "bodies.db.damaged").exists()
    assert server.stop() == 0


async def _load(server: Server, key: str, seconds: float) -> None:
    """Many calls at once, for so long or until the server is gone."""
    until_s = time.monotonic() + seconds

    async def one_after_the_other(number: int) -> None:
        while time.monotonic() < until_s and server.process.poll() is None:
            body = {
                "model": MODEL,
                "messages": messages(f"[[tokens:20]] {CANARY} " * 40),
                "max_tokens": 40,
                "stream": bool(number % 2),
            }
            await post(server.url, CHAT, key, body)

    tasks = [asyncio.create_task(one_after_the_other(n)) for n in range(12)]
    for task in tasks:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(task, seconds + 10)


@pytest.mark.parametrize("seed", range(2))
def test_killed_while_it_keeps_and_deletes_it_loses_moments_and_finishes_deleting(
    tmp_path: Path, seed: int
) -> None:
    """P2, D2: kill -9 under load. No half row, the ledger adds up, and what has to go goes after the start."""
    mock = start_mock(tmp_path / "mock")
    server = start_server(tmp_path / "server", mock.url)
    old = key_of_new_member(server, "old", logging=LOGGING)
    new = key_of_new_member(server, "new", logging=LOGGING)
    asyncio.run(_load(server, old, 2.0))
    before = kept(server)
    assert before > 20

    async def kill_under_load() -> None:
        load = asyncio.create_task(_load(server, new, 20.0))
        await asyncio.sleep(1.0)
        await asyncio.to_thread(server.admin, "PATCH", "/groups/old", {"logging": None})
        await asyncio.sleep(
            0.3 + 3.7 * seed
        )  # before the next look at what is to be deleted, or in it
        server.kill()
        await load

    asyncio.run(kill_under_load())

    again = start_server(tmp_path / "server", mock.url)
    old_id = str(again.made("GET", "/groups/old")["id"])
    deadline = time.monotonic() + 20
    while of_group(again, old_id) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert of_group(again, old_id) == 0
    rows = again.made("GET", "/requests?group=new&limit=1000")["data"]
    readable = 0
    for row in rows[:200]:
        status, body = again.admin("POST", f"/requests/{row['id']}/body", {"reason": "a test"})
        assert status in (200, 404), body
        if status == 200:
            readable += 1
            assert CANARY in json.dumps(body["request"])
            assert body["reply"] is not None
    assert readable > 5
    assert_verified(again)
    assert again.stop() == 0
    mock.stop()
