"""The official Python client, unchanged, over a running server."""

from __future__ import annotations

import asyncio
import json
import time

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.acceptance.conftest import NewKey, client_of
from tests.support.processes import CREDENTIAL, Mock, Server, call

MODEL = "gpt-4o-mini"
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello to the class."}]


def rows_of(server: Server, key: str) -> list[dict[str, object]]:
    me = call("GET", f"{server.url}/api/v1/me", token=key)[1]
    return list(server.made("GET", f"/requests?key={me['key']['id']}")["data"])


def test_a_plain_chat_answers_and_is_charged_what_the_upstream_billed(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["$1/month"])

    raw = client_of(server, key).chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO
    )
    reply = raw.parse()

    assert reply.choices[0].message.content
    assert reply.usage is not None
    cost = reply.usage.prompt_tokens * 150 + reply.usage.completion_tokens * 600  # nano-USD
    assert float(raw.headers["x-tuckshop-cost-usd"]) == pytest.approx(cost / 1e9, abs=1e-12)
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-tuckshop-upstream-request-id"]
    assert float(raw.headers["x-tuckshop-budget-remaining-usd"]) == pytest.approx(1 - cost / 1e9)
    assert "set-cookie" not in raw.headers
    assert "openai-organization" not in raw.headers
    (row,) = rows_of(server, key)
    assert row["status"] == "settled"
    assert row["cost_usd"] == pytest.approx(cost / 1e9, abs=1e-12)
    assert row["id"] == raw.headers["x-request-id"]


def test_a_stream_comes_as_the_client_types_it_and_the_usage_chunk_only_if_asked(
    server: Server, new_key: NewKey
) -> None:
    client = client_of(server, new_key(each=["$1/month"]))

    plain = list(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    asked = list(
        client.chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )

    assert all(chunk.choices for chunk in plain)
    assert plain[-1].choices[0].finish_reason == "stop"
    assert asked[-1].choices == []
    assert asked[-1].usage is not None
    assert asked[-1].usage.completion_tokens > 0


def test_a_stream_is_settled_exactly_though_the_client_asked_for_no_usage(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["$1/month"])

    list(client_of(server, key).chat.completions.create(model=MODEL, messages=HELLO, stream=True))

    (row,) = rows_of(server, key)
    assert row["status"] == "settled"
    assert row["flags"] == [] or row["flags"] == ["clamped"]
    assert row["output_tokens"]


def test_the_async_client_may_run_many_calls_at_once(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["$1/month"])

    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(
            api_key=key, base_url=f"{server.url}/v1", max_retries=0
        ) as client:
            replies = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model=MODEL,
                        messages=[{"role": "user", "content": f"[[tokens:5]] {n}"}],
                        max_tokens=8,
                    )
                    for n in range(20)
                )
            )
        return [reply.choices[0].message.content for reply in replies]

    assert all(asyncio.run(ask()))


def test_tools_are_offered_and_called(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(each=["$1/month"]))

    reply = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the weather in Berlin?"}],
        tools=[
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
                },
            }
        ],
    )

    calls = reply.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.name == "weather"
    assert isinstance(json.loads(calls[0].function.arguments), dict)


class Answer(BaseModel):
    title: str
    points: list[str]


def test_structured_output_is_parsed(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(each=["$1/month"]))

    reply = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Answer)

    assert isinstance(reply.choices[0].message.parsed, Answer)


def test_several_choices_come_and_are_held_and_charged_together(
    server: Server, new_key: NewKey
) -> None:
    client = client_of(server, new_key(each=["$1/month"]))

    reply = client.chat.completions.create(model=MODEL, messages=HELLO, n=3, max_tokens=20)

    assert len(reply.choices) == 3


def test_embeddings_come_in_both_encodings(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(each=["$1/month"]))

    one = client.embeddings.create(model="text-embedding-3-small", input="A text.")
    many = client.embeddings.create(
        model="text-embedding-3-small", input=["A", "B"], encoding_format="float", dimensions=8
    )
    tokens = client.embeddings.create(model="text-embedding-ada-002", input=[1, 2, 3])

    assert len(one.data[0].embedding) == 1536
    assert [len(row.embedding) for row in many.data] == [8, 8]
    assert tokens.usage.prompt_tokens == 3


def test_moderations_are_free_and_still_leave_a_row(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["$0.000001 total", "5 requests/minute"])

    reply = client_of(server, key).moderations.create(input="A harmless sentence.")

    assert reply.results[0].flagged is False
    (row,) = rows_of(server, key)
    assert row["cost_usd"] == 0
    assert row["status"] == "settled"


def test_models_lists_only_what_the_key_may_use(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(models=[MODEL, "text-embedding-3-*"]))

    names = {model.id for model in client.models.list()}

    assert names == {MODEL, "text-embedding-3-small", "text-embedding-3-large"}
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.PermissionDeniedError):
        client.models.retrieve("gpt-4o")


def test_the_real_credential_goes_up_and_the_virtual_key_and_names_do_not(
    server: Server, new_key: NewKey, mock: Mock
) -> None:
    key = new_key(each=["$1/month"])

    client_of(server, key).chat.completions.create(
        model=MODEL,
        messages=HELLO,
        user="erika@example.org",
        extra_headers={"x-tuckshop-tag": "lab"},
    )

    last = mock.requests()[-1]
    sent = json.dumps(last)
    assert f"Bearer {CREDENTIAL}" in sent
    assert key not in sent
    assert "erika" not in sent
    assert "x-tuckshop-tag" not in sent.lower()
    assert rows_of(server, key)[0]["tag"] == "lab"


def test_errors_are_typed_as_the_client_types_them(server: Server, new_key: NewKey) -> None:
    key = new_key(models=[MODEL])

    with pytest.raises(openai.AuthenticationError) as unknown:
        client_of(server, "sk-tuck-" + "0" * 40).models.list()
    with pytest.raises(openai.PermissionDeniedError) as model:
        client_of(server, key).chat.completions.create(model="gpt-4o", messages=HELLO)
    with pytest.raises(openai.BadRequestError) as parameter:
        client_of(server, key).chat.completions.create(model=MODEL, messages=HELLO, store=True)
    with pytest.raises(openai.NotFoundError) as path:
        client_of(server, key).files.list()

    assert unknown.value.code == "invalid_api_key"
    assert model.value.code == "model_not_allowed"
    assert MODEL in model.value.message
    assert (parameter.value.code, parameter.value.param) == ("parameter_not_allowed", "store")
    assert path.value.code == "not_found"
    assert "chat/completions" in path.value.message


def test_an_empty_purse_is_told_once_with_no_retry_storm(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["$0/month"], time_zone="Europe/Berlin")

    with pytest.raises(openai.RateLimitError) as refused:
        client_of(server, key, max_retries=5).chat.completions.create(model=MODEL, messages=HELLO)

    error = refused.value
    assert error.code == "insufficient_quota"
    assert error.type == "insufficient_quota"
    assert error.response.headers["x-should-retry"] == "false"
    assert "$0/month" in error.message
    (row,) = rows_of(server, key)
    assert (row["status"], row["error"], row["repeats"]) == ("refused", "insufficient_quota", 1)


def test_a_full_rate_limit_is_retried_by_the_client_when_it_is_free_again(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["2 requests/2 seconds"])
    client = client_of(server, key, max_retries=3)

    replies = [
        client.embeddings.create(model="text-embedding-3-small", input=f"text {n}")
        for n in range(3)
    ]

    assert len(replies) == 3


def test_a_client_that_leaves_in_mid_stream_is_charged_what_was_billed(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["$1/month"])
    stream = client_of(server, key).chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "[[tokens:60]] [[speed:100]]"}],
        stream=True,
        max_tokens=200,
    )

    next(iter(stream))
    stream.close()

    deadline = time.monotonic() + 20
    row = rows_of(server, key)[0]
    while row["status"] == "reserved" and time.monotonic() < deadline:
        time.sleep(0.1)
        row = rows_of(server, key)[0]
    assert row["status"] == "settled"
    assert row["flags"] == ["client_left"]
    assert row["output_tokens"]


def test_a_little_budget_gets_a_shorter_answer_and_is_told_so(
    server: Server, new_key: NewKey, mock: Mock
) -> None:
    key = new_key(each=["$0.0004/month"])

    raw = client_of(server, key).chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, max_tokens=5000
    )

    cap, _, limit = raw.headers["x-tuckshop-output-cap"].partition("; limit=")
    assert 16 <= int(cap) < 5000
    assert limit == '"$0.0004/month"'
    assert mock.requests()[-1]["body"]["max_tokens"] == int(cap)
    assert rows_of(server, key)[0]["flags"] == ["clamped"]
