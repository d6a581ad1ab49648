"""Erasing people from outside: `tuckshop erase` against a running server, and a server killed in the middle of it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.killed_erasure import POINTS
from tests.support.processes import Mock, Server, call, start_server
from tests.support.shell import Shell

ID, NAME, EMAIL = "canary-4711", "Canaria Canarisdottir", "canary@mail.example"
TAG = "canary-tag"


def a_person(server: Server, *, calls: int = 0) -> str:
    """Somebody who left words everywhere; their id."""
    logging = {"bodies": "all", "days": 30, "purpose": "a study", "readers": ["owner"]}
    server.made("POST", "/groups", {"name": "swa", "each": ["$5/month"], "logging": logging})
    row = {"external_id": ID, "name": NAME, "email": EMAIL}
    member = str(server.made("POST", "/groups/swa/members", row)["data"][0]["id"])
    key = server.made("POST", f"/members/{member}/keys", {"name": f"{NAME}'s laptop"})["key"]
    reason = {"amount_usd": 0.5, "reason": f"{NAME} was ill"}
    server.made("POST", f"/members/{member}/grants", reason)
    for _ in range(calls):
        tagged_call(server, key)
    return member


def tagged_call(server: Server, key: str) -> None:
    import json
    import urllib.request

    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"I am {NAME}"}]}
    request = urllib.request.Request(
        f"{server.url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "x-tuckshop-tag": TAG,
        },
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        reply.read()


def canaries(folder: Path) -> list[str]:
    """The files of the data folder, and the server's own log, that hold a word about them."""
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file()
        and any(
            word in path.read_bytes().lower()
            for word in (b"canary", b"canaria", b"was ill", NAME.lower().encode())
        )
    ]


def assert_gone(folder: Path) -> None:
    """Whoever read while it was erased may keep old pages for a while; then they go too."""
    deadline = time.monotonic() + 30
    while canaries(folder) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert canaries(folder) == []


def test_somebody_is_erased_by_a_command(tmp_path: Path, mock: Mock) -> None:
    """P4, P8, M8, M14: a dry run, a typed name, nothing left on the disk, and every sum as it was."""
    server = start_server(tmp_path, mock.url)
    try:
        shell = Shell(server)
        member = a_person(server, calls=3)
        erase = ("erase", "member", f"swa/{ID}", "--reason", "asked for by letter")
        spent = server.made("GET", "/usage?by=member")["data"]
        assert canaries(server.data)

        told = shell.json(*erase, "--dry-run")
        assert (told["dry_run"], told["keys"], told["requests"], told["bodies"]) == (True, 1, 3, 3)
        call_id = server.made("GET", "/requests")["data"][0]["id"]
        body = f"/requests/{call_id}/body"
        assert NAME in str(server.made("POST", body, {"reason": "the canary test"}))
        assert "--yes-erase canary-4711" in shell.run(*erase, status=1).stderr
        assert "nothing was erased" in shell.run(*erase, "--yes-erase", "x", status=1).stderr
        text = shell.run(*erase, "--yes-erase", ID).stdout

        assert "rows of the log" in text
        assert_gone(server.data)
        assert server.admin("POST", body, {"reason": "again"})[0] == 404
        assert server.made("GET", "/usage?by=member")["data"] == spent
        assert shell.json("member", "show", member)["external_id"] == "(erased)"
        shell.run("verify")
        shell.run("audit", "verify")
        shell.run("group", "archive", "swa")
        ended = shell.json(
            *("erase", "group", "swa", "--reason", "the term is over", "--yes-erase", "swa")
        )
        assert [row["member"] for row in ended["data"]] == [member]
    finally:
        assert server.stop() == 0, server.log.read_text()
    assert canaries(server.data) == []
    again = start_server(tmp_path, mock.url)  # which copies the ledger once
    try:
        assert again.made("GET", "/usage?by=member")["data"] == spent
        Shell(again).run("verify")
        assert canaries(again.data.parent) == []
    finally:
        again.stop()


@pytest.mark.parametrize("point", POINTS)
def test_an_erasure_that_a_kill_interrupted_is_finished_by_the_next_start(
    tmp_path: Path, point: str
) -> None:
    """P4, P8, M8: kill -9 between each two steps; before the server is ready nothing is left."""
    server = start_server(
        tmp_path,
        None,
        command=(sys.executable, "-m", "tests.support.killed_erasure", point, "serve"),
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    member = a_person(server)
    with contextlib.suppress(OSError):
        server.admin("POST", f"/erase/members/{member}", {"reason": "asked for"})
    server.process.wait(10)
    assert server.process.returncode == -9

    again = start_server(tmp_path, None)
    try:
        shown: Any = again.made("GET", f"/members/{member}")
        assert (shown["external_id"], shown["name"], shown["state"]) == (
            "(erased)",
            None,
            "archived",
        )
        assert canaries(again.data) == []
        assert call("GET", f"{again.url}/readyz")[0] == 200
        assert again.made("POST", "/audit/verify")["first_broken"] is None
        Shell(again).run("verify")
    finally:
        assert again.stop() == 0
    assert canaries(again.data) == []
