"""The files of deploy/ are sound as far as that can be told without a container engine and a running systemd."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.front_proxies import DEPLOY, program
from tuckshop.settings import documented, load_settings

ROOT = DEPLOY.parent
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = (DEPLOY / "compose.yaml").read_text()
UNIT = (DEPLOY / "tuckshop.service").read_text()


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest) of the Dockerfile, lines that go on put together."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [
        (line.split(None, 1)[0], line.split(None, 1)[1])
        for line in text.splitlines()
        if line.strip()
    ]


def test_the_image_has_two_stages_and_runs_without_rights() -> None:
    found = instructions()
    starts = [at for at, (name, _) in enumerate(found) if name == "FROM"]
    last = found[starts[-1] :]

    assert len(starts) == 2
    assert found[starts[0]][1].endswith(" AS build")
    assert ("USER", "10001:10001") in last
    assert ("STOPSIGNAL", "SIGTERM") in last
    assert [name for name, _ in last if name == "COPY"] == ["COPY"]
    assert all("latest" not in rest for name, rest in found if name == "FROM")
    known = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"}
    assert {name for name, _ in found} <= known | {"HEALTHCHECK", "CMD"}


def test_the_image_installs_nothing_without_a_hash() -> None:
    """K18."""
    runs = " && ".join(rest for name, rest in instructions() if name == "RUN")
    installs = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) ([^&]*)", runs)

    assert len(installs) == 4
    for arguments in installs:
        assert "--no-deps" in arguments
        assert (
            "--require-hashes" in arguments
            or "--no-index" in arguments
            or arguments.split()[-1] == "."
        )
    assert "apt-get" not in runs
    assert "curl" not in runs


def test_what_the_image_copies_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for name, rest in instructions():
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source.split('/')[0]}" in ignored


def test_the_health_check_is_one_that_python_runs() -> None:
    [check] = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
    command = json.loads(check[check.index("[") :])

    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/readyz" in command[2]


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE, UNIT], ids=["Dockerfile", "compose", "unit"])
def test_every_setting_that_is_named_exists(text: str, tmp_path: Path) -> None:
    known = {row[0] for row in documented()}
    known |= {f"{name}_FILE" for name in known} | {
        "TUCKSHOP_HOSTNAME"
    }  # the latter is compose's own

    named = set(re.findall(r"\b(?:TUCKSHOP|OPENAI)_[A-Z_]+[A-Z]\b", text))

    assert named
    assert named <= known


def test_compose_keeps_the_root_read_only_and_the_admin_api_inside(tmp_path: Path) -> None:
    server, caddy = COMPOSE.split("\n  caddy:\n")

    for service in (server, caddy):
        assert "read_only: true" in service
        assert "cap_drop: [ALL]" in service
        assert "no-new-privileges:true" in service
    assert "ports:" not in server
    environment = dict(re.findall(r"^      (TUCKSHOP_[A-Z_]+): (.+)$", server, re.MULTILINE))
    environment |= {"TUCKSHOP_PUBLIC_URL": "https://t.test", "TUCKSHOP_TIMEZONE": "UTC"}
    settings = load_settings(
        {name: value.strip('"') for name, value in environment.items()}
        | {"TUCKSHOP_HOST": "0.0.0.0"},
        tmp_path,
    ).settings
    assert settings.has_admin_listener
    assert settings.admin_address == ("127.0.0.1", 8001)
    proxy = settings.trusted_proxies[0]
    assert f"ipv4_address: {proxy}" in caddy


def test_yamllint_finds_nothing() -> None:
    rules = (
        "{extends: default, rules: {line-length: {max: 120}, document-start: disable,"
        " comments: {min-spaces-from-content: 1}}}"
    )

    done = subprocess.run(
        [program("yamllint"), "--strict", "-d", rules, str(DEPLOY / "compose.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_systemd_takes_the_unit_and_rates_its_sandbox(tmp_path: Path) -> None:
    """`security` gives 0 (nothing is open) to 10; below 2 is what it calls OK at its best."""
    analyze = program("systemd-analyze")
    executable = tmp_path / "tuckshop"
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    unit = tmp_path / "tuckshop.service"
    unit.write_text(UNIT.replace("/opt/tuckshop/.venv/bin/tuckshop", str(executable)))

    verified = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    rated = subprocess.run(
        [analyze, "security", "--offline=yes", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (verified.returncode, verified.stderr) == (0, "")
    assert rated.returncode == 0, rated.stdout
