"""M3 seen from the kernel: no byte of a call goes to the upstream before the sync of its reservation has returned."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.acceptance.test_shutdown import CHAT, body
from tests.support.processes import COMMAND, call, start_mock, start_server

CALLS = 12
# One line of `strace -f -y`: process, name, descriptor and what it is, the rest.
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\((\d+)<(.*?)>[,)])(.*)$")
_SYNCS = ("fsync", "fdatasync")


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("strace is missing: apt-get install strace")
        pytest.skip("NOT TESTED: what is synced before a call is sent; apt-get install strace")
    return found


def test_no_byte_leaves_before_the_sync_of_its_reservation(tmp_path: Path, strace: str) -> None:
    mock = start_mock(tmp_path / "upstream")
    trace = tmp_path / "trace"
    names = "trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg"
    server = start_server(
        tmp_path,
        mock.url,
        ready_within_s=90,
        command=(
            strace,
            "-f",
            "-yy",
            "-s",
            "5000",
            "-e",
            names,
            "-o",
            str(trace),
            str(COMMAND),
            "serve",
        ),
    )
    try:
        key = key_of_new_member(server, "traced", each=["$1 total"])
        for number in range(CALLS):
            text = f"[[tokens:2]] number {number}."
            status, answer = call(
                "POST", f"{server.url}{CHAT}", body(text, stream=False), token=key
            )
            assert status == 200, answer
    finally:
        # The wrapper passes no signal on: end the server that it started, by the id in its run file.
        os.kill(int(json.loads((server.data / "run.json").read_text())["pid"]), signal.SIGTERM)
        assert server.process.wait(60) == 0
        mock.stop()

    events = events_of(trace.read_text(errors="replace"), urlsplit(mock.url).port or 0)
    sent = [number for number, (kind, _) in enumerate(events) if kind == "sent"]
    assert len(sent) == CALLS
    for number in sent:
        (request_id,) = set(re.findall(r"req_[0-9a-z]{26}", events[number][1]))
        before = events[:number]
        written = max(
            (n for n, (kind, text) in enumerate(before) if kind == "log" and request_id in text),
            default=None,
        )
        assert written is not None, f"{request_id} was sent, and is not in the log of the ledger"
        assert ("synced", "") in before[written:], f"{request_id} was sent before it was synced"


def events_of(trace: str, port: int) -> list[tuple[str, str]]:
    """What was written to the ledger's log, synced, and sent to the upstream, in the order of returning."""
    found: list[tuple[str, str]] = []
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        _, name, _, what, rest = match.groups()
        what = what or ""
        # A call that another thread's call cuts into is printed in two lines; "resumed" is its return.
        if name in _SYNCS and what[-4:] in ("", "-wal") and rest.endswith("= 0"):
            found.append(("synced", ""))
        elif name == "pwrite64" and what.endswith("-wal"):
            found.append(("log", rest))
        elif f":{port}]" in what and "POST /v1/" in rest:
            found.append(("sent", rest))
    return found
