"""The official Node client, unchanged, over a running server: version 6, which runs on every Node.js from 18 on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import NewKey
from tests.acceptance.test_openai_client import rows_of
from tests.support.node import last_json, run_node
from tests.support.processes import CREDENTIAL, Mock, Server, call

NODE = Path(__file__).with_name("node")

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules/openai").is_dir(),
    reason="needs Node.js and its packages: `make test` installs them where it may",
)

RunCall = Callable[..., dict[str, Any]]


@pytest.fixture
def run_call(server: Server, folder: Path) -> RunCall:
    """Make one call of calls.mjs with a key and tell what it printed."""

    def run(name: str, key: str, *, prompt: str | None = None, **options: Any) -> dict[str, Any]:
        environment = {
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "OPENAI_API_KEY": key,
            "OPTIONS": json.dumps(options),
            **({"PROMPT": prompt} if prompt else {}),
        }
        printed = run_node(
            NODE / "calls.mjs", name, packages=NODE, folder=folder, environment=environment
        )
        found: dict[str, Any] = last_json(printed)
        return found

    return run


def test_a_plain_chat_answers_with_the_ids_and_headers_a_client_reads(
    server: Server, new_key: NewKey, run_call: RunCall
) -> None:
    key = new_key(each=["$1/month", "35 requests/minute"])

    told = run_call("plain", key)

    assert told["reply"]["choices"][0]["message"]["content"]
    (row,) = rows_of(server, key)
    assert told["request_id"] == row["id"]
    assert row["status"] == "settled"
    assert told["headers"]["x-ratelimit-limit-requests"] == "35"
    assert told["attempts"] == 1


def test_a_stream_has_no_usage_chunk_that_was_not_asked_for_and_is_settled_exactly(
    server: Server, new_key: NewKey, run_call: RunCall
) -> None:
    key = new_key(each=["$1/month"])

    told = run_call("stream", key)

    assert all(chunk["choices"] for chunk in told["chunks"])
    assert told["chunks"][-1]["choices"][0]["finish_reason"] == "stop"
    (row,) = rows_of(server, key)
    assert row["status"] == "settled"
    assert row["flags"] == []


def test_the_stream_helper_gathers_text_and_usage(new_key: NewKey, run_call: RunCall) -> None:
    told = run_call("stream_helper", new_key(each=["$1/month"]))

    assert told["text"] == told["reply"]["choices"][0]["message"]["content"]
    assert told["usage"]["completion_tokens"] > 0


def test_a_tool_is_called_and_its_result_answered(
    server: Server, new_key: NewKey, run_call: RunCall
) -> None:
    key = new_key(each=["$1/month"])

    told = run_call("tools", key)

    assert isinstance(told["asked"][0]["city"], str)
    assert told["text"]
    assert len(rows_of(server, key)) == 2


def test_structured_output_follows_its_schema(new_key: NewKey, run_call: RunCall) -> None:
    told = run_call("structured", new_key(each=["$1/month"]))

    assert set(told["answer"]) == {"title", "points"}


def test_embeddings_come_in_both_encodings(new_key: NewKey, run_call: RunCall) -> None:
    assert run_call("embeddings", new_key(each=["$1/month"]))["sizes"] == [1536, 8, 8]


def test_models_lists_only_what_the_key_may_use(new_key: NewKey, run_call: RunCall) -> None:
    assert run_call("models", new_key(models=["gpt-4o-mini"]))["names"] == ["gpt-4o-mini"]


def test_neither_organisation_nor_project_nor_the_clients_own_headers_go_up(
    new_key: NewKey, run_call: RunCall, mock: Mock
) -> None:
    """E4: they would choose who pays, or tell the provider about the holder's machine."""
    key = new_key(each=["$1/month"])

    run_call(
        "plain",
        key,
        organization="org-someone-elses",
        project="proj_someone_elses",
        defaultHeaders={"OpenAI-Beta": "assistants=v2", "X-Client-Request-Id": "mine"},
    )

    sent = json.dumps(mock.requests()[-1]).lower()
    assert f"bearer {CREDENTIAL}".lower() in sent
    for name in ("openai-organization", "openai-project", "openai-beta", "x-stainless", '"mine"'):
        assert name not in sent


def test_an_empty_purse_is_told_once_with_no_retry_storm(
    server: Server, new_key: NewKey, run_call: RunCall
) -> None:
    key = new_key(each=["$0/month"])

    told = run_call("plain", key, maxRetries=5)

    assert told["attempts"] == 1
    error = told["error"]
    assert (error["name"], error["status"]) == ("RateLimitError", 429)
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert "$0/month" in error["message"]
    assert error["request_id"].startswith("req_")
    assert rows_of(server, key)[0]["repeats"] == 1


def test_a_full_rate_limit_is_waited_for_and_the_call_made_again(
    new_key: NewKey, run_call: RunCall
) -> None:
    key = new_key(each=["1 requests/second"])
    run_call("embeddings", key, maxRetries=4)

    told = run_call("embeddings", key, maxRetries=4)

    assert told["sizes"] == [1536, 8, 8]
    assert told["attempts"] <= 5


def test_a_wait_longer_than_a_minute_is_not_retried(new_key: NewKey, run_call: RunCall) -> None:
    """This client would ignore a `retry-after` beyond 60 s and call again after half a second."""
    key = new_key(each=["1 requests/hour"])
    run_call("plain", key)

    told = run_call("plain", key, maxRetries=5)

    assert told["error"]["code"] == "rate_limit_exceeded"
    assert told["attempts"] == 1


def test_a_revoked_key_is_told_so_once(server: Server, new_key: NewKey, run_call: RunCall) -> None:
    key = new_key(each=["$1/month"])
    key_id = call("GET", f"{server.url}/api/v1/me", token=key)[1]["key"]["id"]
    server.made("POST", f"/keys/{key_id}/revoke")

    told = run_call("plain", key)

    assert (told["error"]["name"], told["error"]["code"]) == ("AuthenticationError", "key_revoked")
    assert told["attempts"] == 1


def test_a_model_that_is_not_allowed_is_told_with_what_is(
    new_key: NewKey, run_call: RunCall
) -> None:
    told = run_call("other_model", new_key(models=["gpt-4o-mini"]))

    error = told["error"]
    assert (error["name"], error["code"]) == ("PermissionDeniedError", "model_not_allowed")
    assert "gpt-4o-mini" in error["message"]
    assert told["attempts"] == 1


def test_an_error_inside_a_stream_is_raised(new_key: NewKey, run_call: RunCall) -> None:
    told = run_call("stream", new_key(each=["$1/month"]), prompt="[[fault:error-event]] Hello.")

    assert told["error"]["name"] == "APIError"
    assert told["attempts"] == 1


def test_a_stream_that_is_left_is_charged_what_was_billed(
    server: Server, new_key: NewKey, run_call: RunCall
) -> None:
    key = new_key(each=["$1/month"])

    told = run_call("leave", key, prompt="[[tokens:60]] [[speed:100]]")

    assert told["aborted"] is True
    deadline = time.monotonic() + 20
    while (row := rows_of(server, key)[0])["status"] == "reserved" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (row["status"], row["flags"]) == ("settled", ["client_left"])
    assert row["output_tokens"]
