"""The newest official Node client on the newest Node.js makes the same calls as the one in the acceptance tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import NewKey
from tests.clients.conftest import NEWEST, NODE_PACKAGES, ROOT, settings_of
from tests.support.node import last_json, run_node
from tests.support.processes import Server

CALLS = ROOT / "tests/acceptance/node/calls.mjs"


def told_of(name: str, server: Server, key: str, folder: Path) -> dict[str, Any]:
    printed = run_node(
        CALLS,
        name,
        packages=NODE_PACKAGES,
        folder=folder,
        environment=settings_of(server, key) | {"OPTIONS": json.dumps({"maxRetries": 5})},
        node=str(NEWEST / "node"),
    )
    told: dict[str, Any] = last_json(printed)
    return told


@pytest.mark.parametrize(
    "name",
    ["plain", "stream", "stream_helper", "tools", "structured", "embeddings", "models", "leave"],
)
def test_a_call_succeeds(name: str, server: Server, new_key: NewKey, tmp_path: Path) -> None:
    told = told_of(name, server, new_key(each=["$1/month"]), tmp_path)

    assert "error" not in told, told


@pytest.mark.parametrize(
    ("limit", "code"),
    [("$0/month", "insufficient_quota"), ("0 requests/hour", "rate_limit_exceeded")],
)
def test_a_refusal_that_no_retry_can_mend_is_told_once(
    limit: str, code: str, server: Server, new_key: NewKey, tmp_path: Path
) -> None:
    told = told_of("plain", server, new_key(each=[limit]), tmp_path)

    assert told["error"]["code"] == code
    assert told["attempts"] == 1
