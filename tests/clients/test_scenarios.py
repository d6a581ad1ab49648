"""Each client library plays the same scenarios as a student's program would, in a process of its own."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.conftest import NewKey
from tests.acceptance.test_openai_client import rows_of
from tests.clients.conftest import NEWEST, OLDER, Library, Play
from tests.support.processes import Mock, Server, call

PROGRAMS = Path(__file__).with_name("programs")
LANGCHAIN = Library(name="langchain-openai", program=PROGRAMS / "langchain.py", binaries=NEWEST)
AGENTS = Library(name="openai-agents", program=PROGRAMS / "agents_sdk.py", binaries=NEWEST)
AI_SDK = Library(name="ai-sdk", program=PROGRAMS / "ai_sdk.mjs", binaries=NEWEST)
LLAMAINDEX = Library(name="llamaindex", program=PROGRAMS / "llamaindex.py", binaries=OLDER)
LLAMAINDEX_LIKE = replace(LLAMAINDEX, name="llamaindex-openai-like", options=("like",))
BY_RESPONSES = [
    replace(library, name=f"{library.name}-responses", options=("responses",))
    for library in (LANGCHAIN, AGENTS, AI_SDK)
]
# These look at `x-should-retry`; the others call again up to twice whatever the answer says.
OBEDIENT = {LANGCHAIN.program, AGENTS.program}


def play_with(*libraries: Library) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("library", libraries, ids=[found.name for found in libraries])


each_way = play_with(LANGCHAIN, AGENTS, AI_SDK, LLAMAINDEX, LLAMAINDEX_LIKE, *BY_RESPONSES)
each_library = play_with(LANGCHAIN, AGENTS, AI_SDK, LLAMAINDEX)


@each_way
def test_a_chat_answers_and_is_settled(
    library: Library, server: Server, new_key: NewKey, play: Play
) -> None:
    key = new_key(each=["$1/month"])

    told = play(library, "chat", key)

    assert told["value"]
    (row,) = rows_of(server, key)
    by = "responses" if "responses" in library.options else "chat.completions"
    assert (row["status"], row["endpoint"]) == ("settled", by)


@each_way
def test_a_stream_comes_in_pieces_and_is_settled_exactly(
    library: Library, server: Server, new_key: NewKey, play: Play
) -> None:
    key = new_key(each=["$1/month"])

    told = play(library, "stream", key)

    assert len(told["value"]) > 1
    (row,) = rows_of(server, key)
    assert (row["status"], row["flags"]) == ("settled", [])
    assert row["output_tokens"]


@each_way
def test_a_tool_is_called_and_its_result_is_used(
    library: Library, new_key: NewKey, play: Play
) -> None:
    told = play(library, "tools", new_key(each=["$1/month"]))

    assert isinstance(told["value"]["arguments"]["city"], str)
    assert told["value"]["text"]


@each_way
def test_structured_output_has_the_shape_asked_for(
    library: Library, new_key: NewKey, play: Play
) -> None:
    told = play(library, "structured", new_key(each=["$1/month"]))

    assert set(told["value"]) == {"title", "points"}


@play_with(LANGCHAIN, AI_SDK, LLAMAINDEX)
def test_embeddings_come_in_full_length(library: Library, new_key: NewKey, play: Play) -> None:
    told = play(library, "embeddings", new_key(each=["$1/month"]))

    assert told["value"] == [1536, 1536, 1536]


@each_library
def test_an_empty_purse_is_told_in_words_and_goes_up_to_nobody(
    library: Library, server: Server, new_key: NewKey, play: Play, mock: Mock
) -> None:
    key = new_key(each=["$0/month"])
    before = len(mock.requests())

    told = play(library, "chat", key)

    error = told["error"]
    assert (error["status"], error["code"]) == (429, "insufficient_quota")
    assert "$0/month" in error["message"]
    assert len(mock.requests()) == before
    tries = sum(int(str(row["repeats"])) for row in rows_of(server, key))
    assert tries == (1 if library.program in OBEDIENT else 3)


@each_library
def test_a_full_rate_limit_is_waited_for_and_the_call_made_again(
    library: Library, new_key: NewKey, play: Play, server: Server
) -> None:
    key = new_key(each=["1 request/5 seconds"])
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello."}]}
    assert call("POST", f"{server.url}/v1/chat/completions", body, token=key)[0] == 200

    told = play(library, "chat", key)

    assert told["value"]


@play_with(LANGCHAIN, AGENTS)
def test_a_wait_longer_than_a_minute_is_not_sat_out(
    library: Library, new_key: NewKey, play: Play, server: Server
) -> None:
    key = new_key(each=["1 request/hour"])
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello."}]}
    assert call("POST", f"{server.url}/v1/chat/completions", body, token=key)[0] == 200

    told = play(library, "chat", key)

    assert told["error"]["code"] == "rate_limit_exceeded"
    assert [row["repeats"] for row in rows_of(server, key) if row["status"] == "refused"] == [1]


@each_library
def test_a_revoked_key_is_told_so(
    library: Library, server: Server, new_key: NewKey, play: Play
) -> None:
    key = new_key(each=["$1/month"])
    key_id = call("GET", f"{server.url}/api/v1/me", token=key)[1]["key"]["id"]
    server.made("POST", f"/keys/{key_id}/revoke")

    told = play(library, "chat", key)

    assert (told["error"]["status"], told["error"]["code"]) == (401, "key_revoked")


@each_library
def test_a_model_that_is_not_allowed_is_told_with_what_is(
    library: Library, new_key: NewKey, play: Play
) -> None:
    told = play(library, "other_model", new_key(models=["gpt-4o-mini"]))

    error = told["error"]
    assert (error["status"], error["code"]) == (403, "model_not_allowed")
    assert "gpt-4o-mini" in error["message"]


@each_way
def test_an_error_inside_a_stream_is_seen(library: Library, new_key: NewKey, play: Play) -> None:
    told = play(
        library, "stream", new_key(each=["$1/month"]), prompt="[[fault:error-event]] Hello."
    )

    assert told["error"]["message"]


@each_way
def test_a_stream_that_is_left_is_charged_what_was_billed(
    library: Library, server: Server, new_key: NewKey, play: Play
) -> None:
    key = new_key(each=["$1/month"])

    play(library, "leave", key, prompt="[[tokens:120]] [[speed:60]]")

    deadline = time.monotonic() + 20
    while (row := rows_of(server, key)[0])["status"] == "reserved" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (row["status"], row["flags"]) == ("settled", ["client_left"])
    assert row["output_tokens"]
