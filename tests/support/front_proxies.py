"""
nginx and Caddy, as deploy/ sets them up, in front of a server.

The very files of deploy/ are used; only what cannot be had on a test machine is replaced: names, ports, certificates.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.certificates import self_signed

DEPLOY = Path(__file__).parents[2] / "deploy"
HOST = "tuckshop.example.org"


@dataclass
class Front:
    """A proxy that terminates TLS for HOST on loopback."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    certificate: Path
    log: Path

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def program(name: str) -> str:
    """Where *name* is. Skips the test without it; where everything has to run (CI=true), fails."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        missing = f"{name} is not installed: apt-get install {name}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def start_nginx(folder: Path, backend_port: int) -> Front:
    """nginx with deploy/nginx.conf as its site."""
    executable = program("nginx")
    certificate, key = self_signed(folder, HOST)
    port, plain = free_port(), free_port()
    snippet = folder / "tuckshop-proxy.conf"
    snippet.write_text((DEPLOY / "tuckshop-proxy.conf").read_text())
    site = _replaced(
        (DEPLOY / "nginx.conf").read_text(),
        {
            "127.0.0.1:8000": f"127.0.0.1:{backend_port}",
            "    listen 80;": f"    listen 127.0.0.1:{plain};",
            "    listen [::]:80;\n": "",
            "    listen 443 ssl http2;": f"    listen 127.0.0.1:{port} ssl http2;",
            "    listen [::]:443 ssl http2;\n": "",
            f"/etc/letsencrypt/live/{HOST}/fullchain.pem": str(certificate),
            f"/etc/letsencrypt/live/{HOST}/privkey.pem": str(key),
            "/etc/nginx/tuckshop-proxy.conf": str(snippet),
        },
    )
    (folder / "site.conf").write_text(site)
    temp = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log warn;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{ access_log off;\n{temp}include {folder}/site.conf; }}\n"
    )
    arguments = [executable, "-e", str(folder / "error.log"), "-c", str(config)]
    return _started("nginx", arguments, {}, folder, port, certificate)


def start_caddy(folder: Path, backend_port: int) -> Front:
    """Caddy with deploy/Caddyfile."""
    executable = program("caddy")
    certificate, key = self_signed(folder, HOST)
    port = free_port()
    config = folder / "Caddyfile"
    config.write_text(
        _replaced(
            (DEPLOY / "Caddyfile").read_text(),
            {
                "{\n\tservers {": "{\n\tadmin off\n\tauto_https off\n\tservers {",
                "{$TUCKSHOP_HOSTNAME} {": f"https://{{$TUCKSHOP_HOSTNAME}}:{port} {{\n\ttls {certificate} {key}",
            },
        )
    )
    environment = {
        "TUCKSHOP_HOSTNAME": HOST,
        "TUCKSHOP_BACKEND": f"127.0.0.1:{backend_port}",
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    arguments = [executable, "run", "--config", str(config), "--adapter", "caddyfile"]
    return _started("caddy", arguments, environment, folder, port, certificate)


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"{old!r} stands no more in the file of deploy/"
        text = text.replace(old, new)
    return text


def _started(
    name: str,
    arguments: list[str],
    environment: Mapping[str, str],
    folder: Path,
    port: int,
    certificate: Path,
) -> Front:
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, stdout=output, stderr=output, cwd=folder, env={**os.environ, **environment}
        )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return Front(name, process, port, certificate, log)
    process.kill()
    process.wait()
    raise AssertionError(f"{name} did not start:\n{log.read_text()}")
