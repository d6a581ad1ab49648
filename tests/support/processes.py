"""`tuckshop serve` and the made-up upstream as real processes, and a small client for the admin API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CREDENTIAL = "sk-real-0123456789abcdefCANARY"
ADMIN_TOKEN = "admin-token-of-the-tests-0123456789"
COMMAND = Path(sys.executable).with_name("tuckshop")


def clean_environment() -> dict[str, str]:
    """This process's environment without settings, so that a developer's own never leak into a test."""
    environ = os.environ
    return {n: v for n, v in environ.items() if not n.startswith(("TUCKSHOP_", "OPENAI_"))}


@dataclass
class Mock:
    """The made-up upstream in a process of its own, with its own bill."""

    process: subprocess.Popen[str]
    url: str  # with /v1
    bill: Path
    record: Path

    def requests(self) -> list[dict[str, Any]]:
        """Every request it was sent, in order, with its `body` decoded."""
        lines = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [line | {"body": json.loads(line["body"] or "null")} for line in lines]

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = call("GET", self.url.removesuffix("/v1") + "/_mock/state")[1]
        return state

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def start_mock(folder: Path, *options: str, credential: str | None = CREDENTIAL) -> Mock:
    """One that lets in *credential* alone; None: any."""
    folder.mkdir(parents=True, exist_ok=True)
    bill, record = folder / "bill.jsonl", folder / "record.jsonl"
    bill.touch()
    record.touch()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tuckshop.mock_upstream", "--port", "0"),
            *("--bill", str(bill), "--record", str(record)),
            *(("--credential", credential) if credential is not None else ()),
            *options,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, f"the made-up upstream did not start: {line!r}"
    return Mock(process, line[line.index("http://") :].split()[0], bill, record)


@dataclass
class Server:
    """`tuckshop serve` in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    data: Path
    log: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    def admin(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """(status, JSON) of an admin call; *path* begins behind /api/v1."""
        return call(method, f"{self.url}/api/v1{path}", body, token=ADMIN_TOKEN)

    def made(self, method: str, path: str, body: object = None) -> Any:
        """The same, which must succeed."""
        status, answer = self.admin(method, path, body)
        assert status in (200, 201), f"{method} {path}: {status} {answer}"
        return answer

    def starved_s(self) -> float:
        """How long its threads stood ready and got no processor, on a machine that others use too."""
        waited_ns = 0
        for file in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            waited_ns += int(file.read_text().split()[1])
        return waited_ns / 1e9

    def kill(self) -> None:
        """As a power cut would, but for the page cache."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(40)


def start_server(
    folder: Path,
    upstream: str | None,
    *,
    ready_within_s: float = 30,
    ready_path: str = "/readyz",
    command: Sequence[str] = (str(COMMAND), "serve"),
    **settings: str,
) -> Server:
    """
    A server over the data folder *folder*/data, ready.

    *settings* are environment variables in full. An earlier server over the same folder must have ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data, log = folder / "data", folder / "server.log"
    environment = clean_environment() | {
        "TUCKSHOP_DATA": str(data),
        "TUCKSHOP_PORT": "0",
        "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
        "TUCKSHOP_LOG_FORMAT": "console",
    }
    if upstream is not None:
        environment |= {"OPENAI_API_KEY": CREDENTIAL, "OPENAI_BASE_URL": upstream}
    environment |= settings
    run_file = data / "run.json"
    run_file.unlink(missing_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, cwd=folder
        )
    deadline = time.monotonic() + ready_within_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}:\n{log.read_text()}")
        if run_file.exists():
            try:
                url = str(json.loads(run_file.read_text())["url"])
                if call("GET", f"{url}{ready_path}")[0] == 200:
                    return Server(process, url, data, log, settings)
            except (OSError, ValueError):
                pass  # half written, or not listening yet
        time.sleep(0.02)
    process.kill()
    raise AssertionError(f"the server was not ready in {ready_within_s} s:\n{log.read_text()}")


def call(
    method: str, url: str, body: object = None, *, token: str | None = None
) -> tuple[int, Any]:
    """(status, JSON or text) of one call, no retries."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["content-type"] = "application/json"
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            status, raw = reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            status, raw = error.code, error.read()
    text = raw.decode()
    try:
        return status, json.loads(text) if text else None
    except ValueError:
        return status, text
