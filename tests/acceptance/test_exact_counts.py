"""Where the byte bound does not fit, the input is counted exactly, and what fits is served."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import NewKey, key_of_new_member
from tests.support.http import Reply, post
from tests.support.processes import Mock, Server, start_server

# 511 tokens in either vocabulary, as two other tokenizers count them too.
PROMPT = "The student asks how a shop with one key can serve everybody fairly and on time. " * 30
CHAT = "/v1/chat/completions"


def ask(server: Server, key: str, text: str = PROMPT, **fields: Any) -> Reply:
    body = {
        "model": "gpt-3.5-turbo",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 500,
    }
    return asyncio.run(post(server.url, CHAT, key, body | fields))


def workers(server: Server) -> list[int]:
    """The processes that the server started."""
    task = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(pid) for pid in task.read_text().split()]


@pytest.fixture
def fresh(tmp_path: Path, mock: Mock) -> Iterator[Server]:
    server = start_server(tmp_path, mock.url)
    yield server
    assert server.stop() == 0, server.log.read_text()


def test_a_prompt_of_500_tokens_is_served_within_1600_tokens_a_minute(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["1600 tokens/minute on gpt-3.5-turbo"])
    assert len(PROMPT) > 2300  # so its bytes alone are more than the limit

    reply = ask(server, key)

    assert reply.status == 200, reply.body
    assert "x-tuckshop-output-cap" not in reply.headers
    assert reply.json["choices"][0]["message"]["content"]


def test_a_budget_that_fits_only_the_exact_count_is_enough(server: Server, new_key: NewKey) -> None:
    # By bytes the prompt alone costs 1,260,000 nano-USD; by tokens about 300,000, and 500 of output 750,000.
    key = new_key(each=["$0.0012 total"])

    reply = ask(server, key)

    assert reply.status == 200, reply.body
    assert "x-tuckshop-output-cap" not in reply.headers
    assert "OVERRUN" not in server.log.read_text().upper()


def test_a_long_conversation_and_its_tools_are_counted(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["100000 tokens/minute"])
    turn = [{"role": "user", "content": PROMPT * 10}, {"role": "assistant", "content": PROMPT}]
    tool = {"type": "function", "function": {"name": "look", "description": PROMPT * 20}}

    reply = ask(server, key, model="gpt-4o-mini", messages=turn * 10 + turn[:1], tools=[tool])

    assert reply.status == 200, reply.body
    assert "x-tuckshop-output-cap" not in reply.headers


def test_what_does_not_fit_exactly_either_is_refused(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["1600 tokens/minute on gpt-3.5-turbo"])

    reply = ask(server, key, PROMPT * 4)

    assert (reply.status, reply.code) == (400, "request_exceeds_limit")


def test_an_embedding_is_counted_too(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["1000 tokens/minute"])
    body = {"model": "text-embedding-3-small", "input": PROMPT}

    reply = asyncio.run(post(server.url, "/v1/embeddings", key, body))

    assert reply.status == 200, reply.body


def test_a_response_is_counted_too(server: Server, new_key: NewKey) -> None:
    """The text of a turn, of instructions and of a tool's result alike."""
    key = new_key(each=["3300 tokens/minute"])
    result = {"type": "function_call_output", "call_id": "call_1", "output": PROMPT}
    body = {
        "model": "gpt-4o-mini",
        "instructions": PROMPT,
        "input": [{"role": "user", "content": PROMPT}, result],
        "max_output_tokens": 500,
    }

    reply = asyncio.run(post(server.url, "/v1/responses", key, body))

    assert reply.status == 200, reply.body
    assert "x-tuckshop-output-cap" not in reply.headers


def test_a_completion_is_counted_too(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["1600 tokens/minute"])
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": PROMPT, "max_tokens": 500}

    reply = asyncio.run(post(server.url, "/v1/completions", key, body))

    assert reply.status == 200, reply.body
    assert "x-tuckshop-output-cap" not in reply.headers


def test_a_model_whose_vocabulary_nobody_knows_goes_by_its_bytes(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["1600 tokens/minute"])

    reply = ask(server, key, model="gpt-6-sol")

    assert (reply.status, reply.code) == (400, "request_exceeds_limit")


def test_whoever_fits_costs_no_vocabulary_and_a_killed_counter_no_answer(fresh: Server) -> None:
    rich = key_of_new_member(fresh, "rich", each=["$5/month", "100000 tokens/minute"])
    poor = key_of_new_member(fresh, "poor", each=["1600 tokens/minute on gpt-3.5-turbo"])
    empty = key_of_new_member(fresh, "empty", each=["$0.000001 total"])

    assert ask(fresh, rich).status == 200
    assert ask(fresh, empty).code == "insufficient_quota"  # no count could help
    assert workers(fresh) == []

    assert ask(fresh, poor, max_tokens=50).status == 200
    (worker,) = workers(fresh)
    # Whose count is under way is told what the byte bound says; the next one has a new process.
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        met = pool.submit(ask, fresh, poor, max_tokens=50)
        time.sleep(1)
        os.kill(worker, signal.SIGKILL)
        assert met.result().code == "request_exceeds_limit"
    assert ask(fresh, poor, max_tokens=50).status == 200
    # One that died while it had nothing to do costs nobody an answer.
    (worker,) = workers(fresh)
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while workers(fresh) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ask(fresh, poor, max_tokens=50).status == 200
    assert len(workers(fresh)) == 1
    assert ask(fresh, rich).status == 200


def test_a_compatible_upstream_goes_by_its_bytes(tmp_path: Path, mock: Mock) -> None:
    """Any model may stand behind a name there."""
    server = start_server(tmp_path, mock.url, TUCKSHOP_OPENAI_PROFILE="compatible")
    key = key_of_new_member(server, "local", each=["1600 tokens/minute"])

    reply = ask(server, key)

    assert (reply.status, reply.code) == (400, "request_exceeds_limit")
    assert server.stop() == 0


def test_the_counting_process_ends_with_a_server_that_is_killed(tmp_path: Path, mock: Mock) -> None:
    server = start_server(tmp_path, mock.url)
    key = key_of_new_member(server, "poor", each=["1600 tokens/minute"])
    assert ask(server, key).status == 200
    (worker,) = workers(server)

    server.kill()

    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{worker}/exe").exists()
