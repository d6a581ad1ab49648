"""`tuckshop demo` as a person starts it: up in seconds, the pasted lines answer, and Ctrl-C ends all of it."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import COMMAND, call, clean_environment

READY_WITHIN_S = 30.0  # a few seconds; the machine of a test is busy
LAST_LINE = "the next one starts afresh"


@dataclass
class Demo:
    """A demo that is up, and what it said."""

    process: subprocess.Popen[bytes]
    said: str
    folder: Path

    def match(self, pattern: str) -> str:
        """The first group of *pattern* in what it said."""
        found = re.search(pattern, self.said)
        assert found is not None, self.said
        return found[1]

    @property
    def url(self) -> str:
        return self.match(r"address +(http://\S+)/v1")

    @property
    def key(self) -> str:
        return self.match(r"a key +(sk-tuck-\w+)")


def start(folder: Path, *options: str) -> Demo:
    process = subprocess.Popen(
        [str(COMMAND), "demo", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_environment(),
        cwd=folder,
    )
    assert process.stdout is not None
    said = b""
    deadline = time.monotonic() + READY_WITHIN_S
    while LAST_LINE.encode() not in said:
        ready, _, _ = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 4096) if ready else b""
        if not piece:
            process.kill()
            process.wait()
            process.stdout.close()
            raise AssertionError(f"the demo did not come up:\n{said.decode()}")
        said += piece
    return Demo(process, said.decode(), folder / "tuckshop-demo")


def stop(demo: Demo) -> int:
    if demo.process.poll() is None:
        demo.process.send_signal(signal.SIGINT)
    status = demo.process.wait(30)
    assert demo.process.stdout is not None
    demo.process.stdout.close()
    return status


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = start(tmp_path_factory.mktemp("demo"))
    try:
        yield demo
    finally:
        stop(demo)


def _paste(demo: Demo, line: str) -> str:
    """What a shell says to *line*, in another terminal of the same folder."""
    done = subprocess.run(
        ["bash", "-c", line],
        env=clean_environment() | {"PATH": f"{COMMAND.parent}:{os.defpath}"},
        cwd=demo.folder.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_curl_line_streams_an_answer(demo: Demo) -> None:
    line = demo.match(r"(curl -N (?:.*\\\n)*.*)\n")

    answer = _paste(demo, line)

    events = [one for one in answer.split("\n\n") if one.startswith("data: ")]
    assert len(events) > 5
    assert events[-1] == "data: [DONE]"


def test_the_python_lines_print_an_answer(demo: Demo) -> None:
    start_at = demo.said.index("  from openai import OpenAI")
    lines = demo.said[start_at : demo.said.index("\nSee what it cost")].splitlines()
    program = "\n".join(line.removeprefix("  ") for line in lines)

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 10


def test_the_commands_it_names_work(demo: Demo) -> None:
    start_at = demo.said.index("  export TUCKSHOP_DATA")
    lines = demo.said[start_at : demo.said.index("\nThe real thing")].strip().splitlines()
    commands = [line.strip() for line in lines]

    for line in commands[1:]:
        _paste(demo, f"{commands[0]}\n{line}")


def test_a_class_has_lived_through_a_week(demo: Demo) -> None:
    token = (demo.folder / "admin-token").read_text().strip()
    assert token in demo.said

    _, members = call("GET", f"{demo.url}/api/v1/members?limit=100", token=token)
    _, usage = call("GET", f"{demo.url}/api/v1/usage?by=day", token=token)
    _, refused = call("GET", f"{demo.url}/api/v1/requests?status=refused", token=token)
    _, me = call("GET", f"{demo.url}/api/v1/me", token=demo.key)

    assert len(members["data"]) == 30
    assert len(usage["data"]) >= 6
    assert sum(row["requests"] for row in usage["data"]) > 100
    assert {row["error"] for row in refused["data"]} <= {"insufficient_quota"}
    assert any(limit["limit"] == "$0.20/month" for limit in me["limits"])


def test_the_folder_is_its_owners(demo: Demo) -> None:
    assert demo.folder.stat().st_mode & 0o777 == 0o700
    assert (demo.folder / "admin-token").stat().st_mode & 0o777 == 0o600


def test_a_second_demo_over_the_same_folder_is_refused(demo: Demo) -> None:
    done = subprocess.run(
        [str(COMMAND), "demo", "--port", "0"],
        env=clean_environment(),
        cwd=demo.folder.parent,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode == 1
    assert "in use" in done.stderr
    assert call("GET", f"{demo.url}/readyz")[0] == 200


def test_a_port_in_use_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = subprocess.run(
            [str(COMMAND), "demo", "--port", str(port)],
            env=clean_environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
        )

    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_a_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tuckshop-demo").mkdir()
    (tmp_path / "tuckshop-demo" / "thesis.txt").write_text("years of work")

    done = subprocess.run(
        [str(COMMAND), "demo", "--port", "0"],
        env=clean_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode == 1
    assert "not a demo's folder" in done.stderr
    assert [path.name for path in (tmp_path / "tuckshop-demo").iterdir()] == ["thesis.txt"]


def test_ctrl_c_ends_all_of_it_and_the_next_demo_starts_afresh(tmp_path: Path) -> None:
    first = start(tmp_path)
    provider = _children(first.process.pid)
    url, key = first.url, first.key

    status = stop(first)

    assert status == 0
    assert provider
    assert all(_gone(pid) for pid in provider)
    assert not (first.folder / "run.json").exists()
    with pytest.raises(OSError, match="refused"):
        call("GET", f"{url}/readyz")

    second = start(tmp_path)
    try:
        assert second.key != key
        assert call("GET", f"{second.url}/api/v1/me", token=key)[0] == 401
    finally:
        assert stop(second) == 0


def test_the_provider_does_not_outlive_a_killed_demo(tmp_path: Path) -> None:
    demo = start(tmp_path)
    provider = _children(demo.process.pid)

    demo.process.kill()
    demo.process.wait(10)

    assert demo.process.stdout is not None
    demo.process.stdout.close()
    deadline = time.monotonic() + 10
    while not all(_gone(pid) for pid in provider):
        assert time.monotonic() < deadline, "the made-up provider still runs"
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"
