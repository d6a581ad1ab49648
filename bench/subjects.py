"""What is measured: nginx and tuckshop as reverse proxies, each pinned to one core, before one made-up upstream."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from bench.cases import NGINX, TUCKSHOP

PROXY_CORE: Final = "0"
OTHER_CORE: Final = "1"
CREDENTIAL: Final = "sk-bench-0123456789abcdef"
ADMIN_TOKEN: Final = "bench-admin-token-0123456789"
CLASS: Final = "bench"  # the group's name
START_TIMEOUT_S: Final = 120.0
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Subject:
    """A proxy under measurement."""

    name: str
    url: str  # with /v1
    keys: list[str]
    process: subprocess.Popen[bytes]
    headers: tuple[str, ...] = ()  # that its calls need beside the key
    cold_start_s: float = 0.0
    idle_rss_mb: float = 0.0  # ready, before it had anything to do

    def cpu_s(self) -> float:
        """CPU seconds of all its processes and threads so far."""
        total = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _TICK

    def rss_mb(self) -> float:
        """Resident memory, MB."""
        total = 0
        for pid in self._pids():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        return total / 1024

    def stop(self) -> None:
        """End it in order."""
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def _pids(self) -> list[int]:
        """It and what it started, which ends only with it."""
        pids = [self.process.pid]
        for pid in pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (thread / "children").read_text().split())
        return pids


@dataclass
class Upstream:
    """The made-up provider both stand before."""

    process: subprocess.Popen[str]
    url: str

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)


def start_upstream() -> Upstream:
    """The made-up upstream on the other core, with no bill to write."""
    process = subprocess.Popen(
        [
            "taskset",
            "-c",
            OTHER_CORE,
            sys.executable,
            "-m",
            "tuckshop.mock_upstream",
            "--port",
            "0",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=without_settings(),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    return Upstream(process, line[line.index("http://") :].split()[0])


def start_nginx(upstream: Upstream, folder: Path) -> Subject:
    """nginx as it is set up for streams: no buffering, keep-alive to the upstream, one worker."""
    folder.mkdir()
    port = free_port()
    address = urlsplit(upstream.url).netloc
    config = folder / "nginx.conf"
    config.write_text(
        f"""
        daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log warn;
        events {{ worker_connections 8192; }}
        http {{
            access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            upstream provider {{ server {address}; keepalive 1024; }}
            server {{
                listen 127.0.0.1:{port} backlog=4096; keepalive_requests 10000000;
                location / {{
                    proxy_pass http://provider; proxy_http_version 1.1; proxy_buffering off;
                    proxy_set_header Connection ""; proxy_set_header Authorization "Bearer {CREDENTIAL}";
                }}
            }}
        }}
        """
    )
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    began = time.monotonic()
    process = subprocess.Popen(["taskset", "-c", PROXY_CORE, nginx, "-c", str(config)])
    url = f"http://127.0.0.1:{port}"
    _wait_for(url + "/", process)
    cold = time.monotonic() - began
    subject = Subject(NGINX, url + "/v1", ["sk-none"], process, cold_start_s=cold)
    subject.idle_rss_mb = subject.rss_mb()
    return subject


def start_tuckshop(
    upstream: Upstream,
    folder: Path,
    *,
    keys: int,
    command: Sequence[str] = (),
    policy: Mapping[str, object] = MappingProxyType({}),
    **settings: str,
) -> Subject:
    """`tuckshop serve` (or *command*) with a class of *keys* members, each under eight limits, and *policy* besides."""
    folder.mkdir(exist_ok=True)
    subject = serve_again(upstream, folder, command=command, **settings)
    admin(subject, "/groups", {
        "name": CLASS,
        "each": ["$1000/month", "$100/day", "1000000 requests/minute", "1000000000 tokens/minute",
                 "1000000 requests/day", "1000 concurrent requests"],
        "shared": ["$100000/month", "10000000 requests/minute"],
        **policy,
    })  # fmt: skip
    subject.keys += add_members(subject, keys)
    return subject


def serve_again(
    upstream: Upstream, folder: Path, *, command: Sequence[str] = (), **settings: str
) -> Subject:
    """A tuckshop over the ledger that *folder* has, with no keys known here."""
    port = free_port()
    environment = without_settings() | {
        "TUCKSHOP_DATA": str(folder / "data"),
        "TUCKSHOP_PORT": str(port),
        "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
        "TUCKSHOP_LOG_LEVEL": "error",
        "TUCKSHOP_EDGE_FLOOD_PER_SECOND": "1000000",
        "TUCKSHOP_EDGE_FLOOD_BURST": "1000000",
        "OPENAI_API_KEY": CREDENTIAL,
        "OPENAI_BASE_URL": upstream.url,
        **settings,
    }
    serve = command or (str(Path(sys.executable).with_name("tuckshop")), "serve")
    return start(TUCKSHOP, serve, environment, folder, port, ready="/readyz")


def start(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    port: int,
    *,
    ready: str,
) -> Subject:
    """A proxy on its core, when *ready* answers."""
    began = time.monotonic()
    process = subprocess.Popen(
        ["taskset", "-c", PROXY_CORE, *command],
        env=dict(environment),
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    _wait_for(url + ready, process)
    cold = time.monotonic() - began
    subject = Subject(name, url + "/v1", [], process, cold_start_s=cold)
    subject.idle_rss_mb = subject.rss_mb()
    return subject


def add_members(subject: Subject, count: int, prefix: str = "s") -> list[str]:
    """So many more members of the class; their keys."""
    made: list[str] = []
    for start_at in range(0, count, 1000):
        members = [
            {"external_id": f"{prefix}{n}"} for n in range(start_at, min(count, start_at + 1000))
        ]
        rows = admin(subject, f"/groups/{CLASS}/members?issue_keys=true", members)["data"]
        made += [row["key"]["key"] if isinstance(row["key"], dict) else row["key"] for row in rows]
    return made


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def without_settings() -> dict[str, str]:
    """The environment, without what would set up a tuckshop."""
    environ = os.environ  # noqa: TID251 - the benchmark starts processes as a person would
    return {n: v for n, v in environ.items() if not n.startswith(("TUCKSHOP_", "OPENAI_"))}


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until_s:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 503:
                return
        except OSError:
            pass
        time.sleep(0.01)
    process.kill()
    raise RuntimeError(f"nothing answers at {url}")


def admin(subject: Subject, path: str, body: object = None) -> Any:
    """What the admin API answers: a GET, or a POST of *body*."""
    request = urllib.request.Request(
        f"{subject.url.removesuffix('/v1')}/api/v1{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {ADMIN_TOKEN}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.loads(reply.read())
