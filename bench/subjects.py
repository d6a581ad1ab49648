"""What is measured: nginx and tuckshop as reverse proxies, each pinned to one core, before one made-up upstream."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

PROXY_CORE: Final = "0"
OTHER_CORE: Final = "1"
CREDENTIAL: Final = "sk-bench-0123456789abcdef"
ADMIN_TOKEN: Final = "bench-admin-token-0123456789"
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Subject:
    """A proxy under measurement."""

    name: str
    url: str  # with /v1
    pids: list[int]  # those whose CPU and memory count
    keys: list[str]
    process: subprocess.Popen[bytes]
    cold_start_s: float = 0.0
    idle_rss_mb: float = 0.0  # ready, before it had anything to do

    def cpu_s(self) -> float:
        """CPU seconds of all its processes and threads so far."""
        total = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _TICK

    def rss_mb(self) -> float:
        """Resident memory, MB."""
        total = 0
        for pid in self.pids:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        return total / 1024

    def stop(self) -> None:
        """End it in order."""
        self.process.terminate()
        self.process.wait(60)


@dataclass
class Upstream:
    """The made-up provider both stand before."""

    process: subprocess.Popen[str]
    url: str
    environment: dict[str, str] = field(default_factory=dict)

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
        env=_environment(),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    return Upstream(process, line[line.index("http://") :].split()[0])


def start_nginx(upstream: Upstream, folder: Path, port: int) -> Subject:
    """nginx as it is set up for streams: no buffering, keep-alive to the upstream, one worker."""
    folder.mkdir()
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
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pids = [int(pid) for pid in children]
    return Subject("nginx", url + "/v1", pids, ["sk-none"], process, cold)


def start_tuckshop(
    upstream: Upstream, folder: Path, port: int, *, keys: int, **settings: str
) -> Subject:
    """`tuckshop serve` with a class of *keys* members, each under eight limits."""
    command = Path(sys.executable).with_name("tuckshop")
    folder.mkdir(exist_ok=True)
    environment = _environment() | {
        "TUCKSHOP_DATA": str(folder / "data"),
        "TUCKSHOP_PORT": str(port),
        "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
        "TUCKSHOP_LOG_LEVEL": "warning",
        "TUCKSHOP_EDGE_FLOOD_PER_SECOND": "1000000",
        "TUCKSHOP_EDGE_FLOOD_BURST": "1000000",
        "OPENAI_API_KEY": CREDENTIAL,
        "OPENAI_BASE_URL": upstream.url,
        **settings,
    }
    began = time.monotonic()
    process = subprocess.Popen(
        ["taskset", "-c", PROXY_CORE, str(command), "serve"], env=environment, cwd=folder
    )
    url = f"http://127.0.0.1:{port}"
    _wait_for(url + "/readyz", process)
    cold = time.monotonic() - began
    subject = Subject("tuckshop", url + "/v1", [process.pid], [], process, cold)
    subject.idle_rss_mb = subject.rss_mb()
    _admin(url, "/groups", {
        "name": "bench",
        "each": ["$1000/month", "$100/day", "1000000 requests/minute", "1000000000 tokens/minute",
                 "1000000 requests/day", "1000 concurrent requests"],
        "shared": ["$100000/month", "10000000 requests/minute"],
    })  # fmt: skip
    made = subject.keys
    for start in range(0, keys, 1000):
        members = [{"external_id": f"s{n}"} for n in range(start, min(keys, start + 1000))]
        rows = _admin(url, "/groups/bench/members?issue_keys=true", members)["data"]
        made += [row["key"]["key"] if isinstance(row["key"], dict) else row["key"] for row in rows]
    return subject


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    environ = os.environ  # noqa: TID251 - the benchmark starts processes as a person would
    return {n: v for n, v in environ.items() if not n.startswith(("TUCKSHOP_", "OPENAI_"))}


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
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
    raise SystemExit(f"nothing answers at {url}")


def _admin(url: str, path: str, body: object) -> Any:
    request = urllib.request.Request(
        f"{url}/api/v1{path}",
        data=json.dumps(body).encode(),
        headers={"authorization": f"Bearer {ADMIN_TOKEN}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.loads(reply.read())
