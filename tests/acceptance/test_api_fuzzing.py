"""
The admin API fuzzed from its own OpenAPI document by schemathesis, against a running server.

Nothing is a fault of the server (no 5xx), every answer is of a status, a type and a shape that the document names, and
no call answers without its credential (K4).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ADMIN_TOKEN, Server, clean_environment, start_server

pytestmark = pytest.mark.long

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "response_schema_conformance",
    "content_type_conformance",
    "ignored_auth",
)


@pytest.fixture
def furnished(tmp_path: Path) -> tuple[Server, Path]:
    """A server with one of each, and a file that tells their names to the fuzzer."""
    server = start_server(tmp_path / "server", None)
    server.made("POST", "/groups", {"name": "swa", "each": ["$1/month"]})
    member = server.made("POST", "/groups/swa/members", {"external_id": "4711"})["data"][0]["id"]
    key = server.made("POST", f"/members/{member}/keys", {})["id"]
    server.made("POST", "/upstreams", {"name": "second"})
    config = tmp_path / "schemathesis.toml"
    names = {"group": "swa", "member": member, "key": key, "upstream": "second"}
    lines = [f'"path.{name}" = "{value}"' for name, value in names.items()]
    config.write_text("[parameters]\n" + "\n".join(lines) + "\n")
    return server, config


def fuzz(server: Server, config: Path, *, examples: int, timeout_s: float) -> None:
    done = subprocess.run(
        [
            SCHEMATHESIS,
            *("--config-file", str(config)),
            *("run", f"{server.url}/api/openapi.json"),
            *("--header", f"Authorization: Bearer {ADMIN_TOKEN}"),
            *("--checks", ",".join(CHECKS)),
            *("--phases", "coverage,fuzzing"),
            *("--max-examples", str(examples)),
            *("--workers", "2", "--continue-on-failure", "--no-color"),
        ],
        env=clean_environment(),
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    server.stop()
    log = server.log.read_text()

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "Traceback" not in log, log[-20_000:]


def test_nothing_that_the_description_allows_or_forbids_breaks_the_server(
    furnished: tuple[Server, Path],
) -> None:
    # So long that only what hangs takes longer: on a busy machine it has taken two minutes.
    fuzz(*furnished, examples=2, timeout_s=900)


@pytest.mark.soak
def test_nothing_breaks_it_in_the_long_run(furnished: tuple[Server, Path]) -> None:
    fuzz(*furnished, examples=300, timeout_s=3_000)
